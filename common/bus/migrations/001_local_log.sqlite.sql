-- The log of one process. A segment holds the records that one commit appended to one partition: their
-- offsets rise by one from first_offset to last_offset, and segment.h says how `events` is read. Rows of a
-- record each would cost an insert per event where a commit of a busy moment has thousands.
CREATE TABLE log_segments (
  partition    INTEGER NOT NULL,
  last_offset  INTEGER NOT NULL,
  first_offset INTEGER NOT NULL,
  appended_at  INTEGER NOT NULL,
  events       BLOB NOT NULL,
  PRIMARY KEY (partition, last_offset)
);

-- One row: keys are spread over partitions by number, so a log never changes it.
CREATE TABLE log_shape (
  key        TEXT PRIMARY KEY CHECK (key = 'log'),
  partitions INTEGER NOT NULL
);

-- Every group that ever joined. Nothing is pruned before each of them has said how far it is.
CREATE TABLE log_groups (
  name      TEXT PRIMARY KEY,
  joined_at INTEGER NOT NULL
);
