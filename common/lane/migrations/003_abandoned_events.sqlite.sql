-- Events on the bus that their source, restored from a backup, does not know any more: those of the source with a
-- sequence above after_sequence and not above until_sequence. They are skipped. One row a source and restore.
CREATE TABLE abandoned_events (
  source TEXT NOT NULL,
  after_sequence INTEGER NOT NULL,
  until_sequence INTEGER NOT NULL,
  restored_at INTEGER NOT NULL,
  PRIMARY KEY (source, after_sequence)
) WITHOUT ROWID;
