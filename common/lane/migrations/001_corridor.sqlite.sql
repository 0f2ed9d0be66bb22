-- serves_from: 1
-- The mechanism's own tables, the same in every service's database.

-- Requests that were answered: scope = hash(caller, method, request_id). The reply holds ids only.
-- Rows lie in the order of their commits, which is all that pruning needs.
CREATE TABLE request_marks (
  scope TEXT PRIMARY KEY,
  body_hash BLOB NOT NULL,
  reply BLOB NOT NULL,
  decided_at INTEGER NOT NULL
);

-- The last event applied of each stream (source, subject, key): at or below it is a duplicate.
CREATE TABLE event_marks (
  stream TEXT PRIMARY KEY,
  sequence INTEGER NOT NULL
) WITHOUT ROWID;

-- How far the bus was applied. A write with another epoch is a former owner's and misses.
CREATE TABLE positions (
  partition INTEGER PRIMARY KEY,
  next_offset INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  owner TEXT NOT NULL
);

-- Events decided and not yet acknowledged by the bus. Ids never come again, so an order stays an order; the
-- id is also the event's ce_sequence.
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL,
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  key TEXT NOT NULL,
  time INTEGER NOT NULL,
  cause TEXT NOT NULL,
  traceparent TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  body BLOB NOT NULL
);

-- Timers. bound = the partition whose facts a firing waits for, -1 = none. claim = who fires it, until then by the
-- database's clock: only where several processes share the database.
CREATE TABLE timers (
  id TEXT PRIMARY KEY,
  due INTEGER NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  bound INTEGER NOT NULL,
  payload BLOB NOT NULL,
  traceparent TEXT NOT NULL,
  claim TEXT NOT NULL DEFAULT '',
  claimed_until INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX timers_bound_due ON timers (bound, due);
CREATE INDEX timers_key_due ON timers (key, due);

-- Events that could not be applied, and those of the same subject that wait behind them.
CREATE TABLE dead_letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  parked_subject TEXT NOT NULL,
  event_id TEXT NOT NULL UNIQUE,
  source TEXT NOT NULL,
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  key TEXT NOT NULL,
  time INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  cause TEXT NOT NULL,
  traceparent TEXT NOT NULL,
  partition INTEGER NOT NULL,
  log_offset INTEGER NOT NULL,
  reason TEXT NOT NULL,
  parked_at INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX dead_letters_subject ON dead_letters (parked_subject, id);

-- A subject with parked events; saved by parking, draining and unparking.
CREATE TABLE parked_subjects (
  subject TEXT PRIMARY KEY,
  version INTEGER NOT NULL
) WITHOUT ROWID;

-- One row: how many partitions the bus had when this database first met it. Positions and the partitions of timers
-- mean nothing on a bus of another number.
CREATE TABLE bus_shape (
  key TEXT PRIMARY KEY,
  partitions INTEGER NOT NULL
) WITHOUT ROWID;

-- What one process at a time does for all, until then by the database's clock; the epoch rises with each owner.
CREATE TABLE leases (
  name TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  held_until INTEGER NOT NULL
) WITHOUT ROWID;

-- Versions of the service's policy: "current" and one row a version.
CREATE TABLE policies (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;
