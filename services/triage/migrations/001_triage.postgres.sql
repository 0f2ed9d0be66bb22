-- Texts are compared and ordered byte by byte, as SQLite does. Rows that are saved again and again leave room in
-- their page (fillfactor): a save that changes no indexed column then stays there and touches no index (HOT).
CREATE TABLE tickets (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  queue TEXT COLLATE "C" NOT NULL,
  severity BIGINT NOT NULL,         -- in force
  is_open BIGINT NOT NULL,
  is_waiting BIGINT NOT NULL,       -- open, and nobody owns it
  waiting_since BIGINT NOT NULL,
  rise1 BIGINT NOT NULL,            -- when it rises a class by waiting; the largest integer = never
  rise2 BIGINT NOT NULL,
  alike TEXT COLLATE "C" NOT NULL,  -- product and category; empty = neither is known
  opened_at BIGINT NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX tickets_waiting ON tickets (queue, severity, waiting_since) WHERE is_waiting = 1;
-- With the queue and whether it waits, so that open tickets are counted from the index alone.
CREATE INDEX tickets_open ON tickets (opened_at, queue, is_waiting, is_open) WHERE is_open = 1;

CREATE TABLE staff (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  function BIGINT NOT NULL,
  is_active BIGINT NOT NULL,
  capacity BIGINT NOT NULL  -- units of work at a time; 0 = no limit
);

CREATE TABLE loads (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  units BIGINT NOT NULL  -- of capacity taken
) WITH (fillfactor = 50);

CREATE TABLE rosters (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE escalations (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  ticket_id TEXT COLLATE "C" NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL,
  state BIGINT NOT NULL,
  raised_at BIGINT NOT NULL,
  level BIGINT NOT NULL  -- rung last, from 1
);
CREATE INDEX escalations_by_time ON escalations (raised_at, key);
CREATE INDEX escalations_by_ticket ON escalations (ticket_id, raised_at, key);
CREATE INDEX escalations_by_account ON escalations (account_id, raised_at, key);
CREATE INDEX escalations_open ON escalations (level, state) WHERE state <> 4;  -- not closed
