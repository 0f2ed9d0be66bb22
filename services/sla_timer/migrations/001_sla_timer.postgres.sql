-- Texts are compared and ordered byte by byte, as SQLite does. Rows that are saved again and again leave room in
-- their page (fillfactor): a save that changes no indexed column then stays there and touches no index (HOT).
CREATE TABLE tickets (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL,
  opened_at BIGINT NOT NULL,
  next_due BIGINT,          -- NULL: no clock runs or is overdue
  is_open BIGINT NOT NULL,  -- not closed for good
  policy_version BIGINT NOT NULL,
  is_live BIGINT NOT NULL,  -- a clock runs, stands still or is overdue
  -- Where the clock of each metric stands: 0 none or ended, 1 running, 2 paused, 3 at risk, 4 breached
  -- and not ended.
  first_response BIGINT NOT NULL,
  resolution BIGINT NOT NULL,
  time_to_own BIGINT NOT NULL,
  -- How the promise of each metric was judged: 0 not yet, 1 met, 2 missed (in any cycle).
  first_response_verdict BIGINT NOT NULL,
  resolution_verdict BIGINT NOT NULL,
  time_to_own_verdict BIGINT NOT NULL
) WITH (fillfactor = 80);
-- Partial, so that a ticket whose clocks have ended costs nothing.
CREATE INDEX tickets_by_due ON tickets (next_due, key) WHERE next_due IS NOT NULL;
-- With the verdicts, so that a period's attainment is counted from the index alone.
CREATE INDEX tickets_by_opening ON tickets
  (opened_at, key, first_response_verdict, resolution_verdict, time_to_own_verdict);
-- Live clocks are counted from the index alone.
CREATE INDEX tickets_live ON tickets (first_response, resolution, time_to_own, is_live) WHERE is_live = 1;

CREATE TABLE calendars (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE policy_histories (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE verifications (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  compared BIGINT NOT NULL,  -- clocks, since it first ran
  differing BIGINT NOT NULL  -- clocks, in this round or the last one, whichever has more
) WITH (fillfactor = 20);
