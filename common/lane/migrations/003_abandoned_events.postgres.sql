-- Events on the bus that their source, restored from a backup, does not know any more: those of the source with a
-- sequence above after_sequence and not above until_sequence. They are skipped. One row a source and restore.
CREATE TABLE abandoned_events (
  source TEXT COLLATE "C" NOT NULL,
  after_sequence BIGINT NOT NULL,
  until_sequence BIGINT NOT NULL,
  restored_at BIGINT NOT NULL,
  PRIMARY KEY (source, after_sequence)
);
