CREATE TABLE tickets (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  account_id TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  next_due INTEGER,                 -- NULL: no clock runs or is overdue
  is_open INTEGER NOT NULL,         -- not closed for good
  policy_version INTEGER NOT NULL
) STRICT;
-- Partial, so that a ticket whose clocks have ended costs nothing.
CREATE INDEX tickets_by_due ON tickets (next_due, key) WHERE next_due IS NOT NULL;
CREATE INDEX tickets_by_opening ON tickets (opened_at, key);

CREATE TABLE calendars (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE policy_histories (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
