CREATE TABLE tickets (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  account_id TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  next_due INTEGER,                 -- NULL: no clock runs or is overdue
  is_open INTEGER NOT NULL,         -- not closed for good
  policy_version INTEGER NOT NULL,
  is_live INTEGER NOT NULL,         -- a clock runs, stands still or is overdue
  -- Where the clock of each metric stands: 0 none or ended, 1 running, 2 paused, 3 at risk, 4 breached
  -- and not ended.
  first_response INTEGER NOT NULL,
  resolution INTEGER NOT NULL,
  time_to_own INTEGER NOT NULL,
  -- How the promise of each metric was judged: 0 not yet, 1 met, 2 missed (in any cycle).
  first_response_verdict INTEGER NOT NULL,
  resolution_verdict INTEGER NOT NULL,
  time_to_own_verdict INTEGER NOT NULL
) STRICT;
-- Partial, so that a ticket whose clocks have ended costs nothing.
CREATE INDEX tickets_by_due ON tickets (next_due, key) WHERE next_due IS NOT NULL;
-- With the verdicts, so that a period's attainment is counted from the index alone.
CREATE INDEX tickets_by_opening ON tickets
  (opened_at, key, first_response_verdict, resolution_verdict, time_to_own_verdict);
-- Live clocks are counted from the index alone.
CREATE INDEX tickets_live ON tickets (first_response, resolution, time_to_own, is_live) WHERE is_live = 1;

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

CREATE TABLE verifications (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  compared INTEGER NOT NULL,        -- clocks, since it first ran
  differing INTEGER NOT NULL        -- clocks, in this round or the last one, whichever has more
) STRICT;
