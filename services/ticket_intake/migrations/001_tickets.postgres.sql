-- Texts are compared and ordered byte by byte, as SQLite does. Rows that are saved again and again leave room in
-- their page (fillfactor): a save that changes no indexed column then stays there and touches no index (HOT).
CREATE TABLE tickets (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL,
  contact_id TEXT COLLATE "C" NOT NULL,
  state BIGINT NOT NULL,
  is_open BIGINT NOT NULL,         -- NEW, OPEN, PENDING or ON_HOLD
  may_block BIGINT NOT NULL,       -- not internal, spam or merged
  category TEXT COLLATE "C" NOT NULL,
  channel BIGINT NOT NULL,
  tags TEXT COLLATE "C" NOT NULL,  -- each between two characters U+001F
  opened_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX tickets_by_time ON tickets (opened_at, key);
CREATE INDEX tickets_by_account ON tickets (account_id, opened_at, key);
CREATE INDEX tickets_by_contact ON tickets (contact_id, opened_at, key);
-- With the state, so that open tickets are counted from the index alone.
CREATE INDEX tickets_open ON tickets (account_id, opened_at, key, state, is_open) WHERE is_open = 1;

CREATE TABLE messages (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE triage_views (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  severity BIGINT NOT NULL,
  queue TEXT COLLATE "C" NOT NULL,
  assignee_id TEXT COLLATE "C" NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX triage_views_by_assignee ON triage_views (assignee_id, key);
CREATE INDEX triage_views_by_queue ON triage_views (queue, key);

CREATE TABLE names (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE known_requesters (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE unresolved_requesters (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);
