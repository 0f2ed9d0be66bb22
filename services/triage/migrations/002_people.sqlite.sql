-- The running clocks of a ticket, so that what is due first is claimed first.
CREATE TABLE clocks (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  due_at INTEGER NOT NULL  -- of the earliest; the largest integer = never
) WITHOUT ROWID;

-- Through which the work of somebody who left is found, a page at a time.
CREATE INDEX tickets_owned ON tickets (key) WHERE is_open = 1 AND is_waiting = 0;
CREATE INDEX escalations_live ON escalations (key) WHERE state < 3;  -- ringing or acknowledged
