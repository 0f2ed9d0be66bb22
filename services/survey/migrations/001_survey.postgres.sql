-- serves_from: 1
-- Texts are compared and ordered byte by byte, as SQLite does. Rows that are saved again and again leave room in
-- their page (fillfactor): a save that changes no indexed column then stays there and touches no index (HOT).
-- What is known of a ticket, under its id.
CREATE TABLE tickets (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
) WITH (fillfactor = 80);

-- A survey, under its id.
CREATE TABLE surveys (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL,
  contact_id TEXT COLLATE "C" NOT NULL,
  ticket_id TEXT COLLATE "C" NOT NULL,
  kind BIGINT NOT NULL,
  state BIGINT NOT NULL,
  severity BIGINT NOT NULL,
  category TEXT COLLATE "C" NOT NULL,
  segment BIGINT NOT NULL,
  channel BIGINT NOT NULL,
  assignee_id TEXT COLLATE "C" NOT NULL,
  team TEXT COLLATE "C" NOT NULL,
  planned_at BIGINT NOT NULL,
  counts BIGINT NOT NULL,                   -- delivered and not withdrawn
  delivered_at BIGINT NOT NULL,             -- 0 = not
  delivered_day TEXT COLLATE "C" NOT NULL,  -- "2026-11-23", UTC; empty = not
  answered BIGINT NOT NULL,
  score BIGINT NOT NULL,                    -- of the answer that counts; 0 without one
  is_good BIGINT NOT NULL
) WITH (fillfactor = 80);
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
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

-- An answer, under "<survey id>/<revision>".
CREATE TABLE answers (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  survey_id TEXT COLLATE "C" NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL,
  contact_id TEXT COLLATE "C" NOT NULL,
  ticket_id TEXT COLLATE "C" NOT NULL,
  assignee_id TEXT COLLATE "C" NOT NULL,
  kind BIGINT NOT NULL,
  is_bad BIGINT NOT NULL,
  counts BIGINT NOT NULL,  -- the last answer to its survey
  answered_at BIGINT NOT NULL
);
CREATE INDEX answers_by_time ON answers (answered_at, key);
CREATE INDEX answers_by_account ON answers (account_id, answered_at, key);
CREATE INDEX answers_by_contact ON answers (contact_id, answered_at, key);
CREATE INDEX answers_by_survey ON answers (survey_id, answered_at, key);

-- A follow-up, under its id.
CREATE TABLE follow_ups (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL,
  assignee_id TEXT COLLATE "C" NOT NULL,
  is_open BIGINT NOT NULL,
  requested_at BIGINT NOT NULL
);
CREATE INDEX follow_ups_by_time ON follow_ups (requested_at, key);
CREATE INDEX follow_ups_by_account ON follow_ups (account_id, requested_at, key);
CREATE INDEX follow_ups_open ON follow_ups (requested_at, key) WHERE is_open = 1;

-- A contact who wants no survey, under its id.
CREATE TABLE opt_outs (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);
