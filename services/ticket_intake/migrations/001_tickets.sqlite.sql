CREATE TABLE tickets (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  account_id TEXT NOT NULL,
  contact_id TEXT NOT NULL,
  state INTEGER NOT NULL,
  is_open INTEGER NOT NULL,      -- NEW, OPEN, PENDING or ON_HOLD
  may_block INTEGER NOT NULL,    -- not internal, spam or merged
  category TEXT NOT NULL,
  channel INTEGER NOT NULL,
  tags TEXT NOT NULL,            -- each between two characters U+001F
  opened_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX tickets_by_time ON tickets (opened_at, key);
CREATE INDEX tickets_by_account ON tickets (account_id, opened_at, key);
CREATE INDEX tickets_by_contact ON tickets (contact_id, opened_at, key);
-- With the state, so that open tickets are counted from the index alone.
CREATE INDEX tickets_open ON tickets (account_id, opened_at, key, state, is_open) WHERE is_open = 1;

CREATE TABLE messages (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE triage_views (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  severity INTEGER NOT NULL,
  queue TEXT NOT NULL,
  assignee_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX triage_views_by_assignee ON triage_views (assignee_id, key);
CREATE INDEX triage_views_by_queue ON triage_views (queue, key);

CREATE TABLE names (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE known_requesters (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE unresolved_requesters (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;
