CREATE TABLE tickets (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  queue TEXT NOT NULL,
  severity INTEGER NOT NULL,     -- in force
  is_open INTEGER NOT NULL,
  is_waiting INTEGER NOT NULL,   -- open, and nobody owns it
  waiting_since INTEGER NOT NULL,
  rise1 INTEGER NOT NULL,        -- when it rises a class by waiting; the largest integer = never
  rise2 INTEGER NOT NULL,
  alike TEXT NOT NULL,           -- product and category; empty = neither is known
  opened_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tickets_waiting ON tickets (queue, severity, waiting_since) WHERE is_waiting = 1;
-- With the queue and whether it waits, so that open tickets are counted from the index alone.
CREATE INDEX tickets_open ON tickets (opened_at, queue, is_waiting, is_open) WHERE is_open = 1;

CREATE TABLE staff (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  function INTEGER NOT NULL,
  is_active INTEGER NOT NULL,
  capacity INTEGER NOT NULL      -- units of work at a time; 0 = no limit
) WITHOUT ROWID;

CREATE TABLE loads (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  units INTEGER NOT NULL         -- of capacity taken
) WITHOUT ROWID;

CREATE TABLE rosters (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
);

CREATE TABLE escalations (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  ticket_id TEXT NOT NULL,
  account_id TEXT NOT NULL,
  state INTEGER NOT NULL,
  raised_at INTEGER NOT NULL,
  level INTEGER NOT NULL         -- rung last, from 1
);
CREATE INDEX escalations_by_time ON escalations (raised_at, key);
CREATE INDEX escalations_by_ticket ON escalations (ticket_id, raised_at, key);
CREATE INDEX escalations_by_account ON escalations (account_id, raised_at, key);
CREATE INDEX escalations_open ON escalations (level, state) WHERE state <> 4;  -- not closed
