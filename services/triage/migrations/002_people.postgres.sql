-- The running clocks of a ticket, so that what is due first is claimed first.
CREATE TABLE clocks (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  due_at BIGINT NOT NULL  -- of the earliest; the largest integer = never
) WITH (fillfactor = 80);

-- Through which the work of somebody who left is found, a page at a time.
CREATE INDEX tickets_owned ON tickets (key) WHERE is_open = 1 AND is_waiting = 0;
CREATE INDEX escalations_live ON escalations (key) WHERE state < 3;  -- ringing or acknowledged
