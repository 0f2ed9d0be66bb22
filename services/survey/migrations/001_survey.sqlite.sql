-- serves_from: 1
-- What is known of a ticket, under its id.
CREATE TABLE tickets (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A survey, under its id.
CREATE TABLE surveys (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  account_id TEXT NOT NULL,
  contact_id TEXT NOT NULL,
  ticket_id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  state INTEGER NOT NULL,
  severity INTEGER NOT NULL,
  category TEXT NOT NULL,
  segment INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  assignee_id TEXT NOT NULL,
  team TEXT NOT NULL,
  planned_at INTEGER NOT NULL,
  counts INTEGER NOT NULL,        -- delivered and not withdrawn
  delivered_at INTEGER NOT NULL,  -- 0 = not
  delivered_day TEXT NOT NULL,    -- "2026-11-23", UTC; empty = not
  answered INTEGER NOT NULL,
  score INTEGER NOT NULL,         -- of the answer that counts; 0 without one
  is_good INTEGER NOT NULL
) STRICT;
CREATE INDEX surveys_by_time ON surveys (planned_at, key);
CREATE INDEX surveys_by_account ON surveys (account_id, planned_at, key);
CREATE INDEX surveys_by_contact ON surveys (contact_id, planned_at, key);
CREATE INDEX surveys_by_ticket ON surveys (ticket_id, planned_at, key);
-- With the answer, so that a period's results are counted from the index alone.
CREATE INDEX surveys_by_delivery ON surveys (kind, delivered_at, answered, is_good, counts)
  WHERE counts = 1;
CREATE INDEX surveys_under_way ON surveys (state) WHERE state <= 2;  -- planned or invited

-- A token, under its hash.
CREATE TABLE tokens (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- An answer, under "<survey id>/<revision>".
CREATE TABLE answers (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  survey_id TEXT NOT NULL,
  account_id TEXT NOT NULL,
  contact_id TEXT NOT NULL,
  ticket_id TEXT NOT NULL,
  assignee_id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  is_bad INTEGER NOT NULL,
  counts INTEGER NOT NULL,        -- the last answer to its survey
  answered_at INTEGER NOT NULL
) STRICT;
CREATE INDEX answers_by_time ON answers (answered_at, key);
CREATE INDEX answers_by_account ON answers (account_id, answered_at, key);
CREATE INDEX answers_by_contact ON answers (contact_id, answered_at, key);
CREATE INDEX answers_by_survey ON answers (survey_id, answered_at, key);

-- A follow-up, under its id.
CREATE TABLE follow_ups (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  account_id TEXT NOT NULL,
  assignee_id TEXT NOT NULL,
  is_open INTEGER NOT NULL,
  requested_at INTEGER NOT NULL
) STRICT;
CREATE INDEX follow_ups_by_time ON follow_ups (requested_at, key);
CREATE INDEX follow_ups_by_account ON follow_ups (account_id, requested_at, key);
CREATE INDEX follow_ups_open ON follow_ups (requested_at, key) WHERE is_open = 1;

-- A contact who wants no survey, under its id.
CREATE TABLE opt_outs (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
