-- Texts are compared and ordered byte by byte, as SQLite does. Rows that are saved again and again leave room in
-- their page (fillfactor): a save that changes no indexed column then stays there and touches no index (HOT).
-- Records: key, version and body; the other columns are derived from the body for queries. Tables whose
-- keys begin with the account id ("acme/000000000001") are read in ranges of their keys.
CREATE TABLE accounts (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  segment BIGINT NOT NULL,
  stage BIGINT NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE contacts (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL
);
CREATE INDEX contacts_by_account ON contacts (account_id, key);

CREATE TABLE teams (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);
CREATE TABLE addresses (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);
CREATE TABLE domains (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);
CREATE TABLE names (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE requesters (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  is_open BIGINT NOT NULL,
  first_seen_us BIGINT NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX requesters_open ON requesters (is_open, first_seen_us, key) WHERE is_open = 1;

CREATE TABLE staff (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);
CREATE TABLE journals (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE timeline (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE tickets (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL
);
CREATE INDEX tickets_by_account ON tickets (account_id, key);

-- account_topics, contact_topics: bit n = topic number n is held for everybody, for some contact.
CREATE TABLE holds (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  is_held BIGINT NOT NULL,
  account_topics BIGINT NOT NULL,
  contact_topics BIGINT NOT NULL,
  held_contacts BIGINT NOT NULL,
  is_parked BIGINT NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX holds_held ON holds (is_held, account_topics, contact_topics, held_contacts, is_parked)
    WHERE is_held = 1;
CREATE TABLE issues (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE contact_holds (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE parked (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

-- sort_score: accounts without a number come last.
CREATE TABLE health (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  band BIGINT NOT NULL,
  segment BIGINT NOT NULL,
  sort_score BIGINT NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX health_by_score ON health (sort_score, key);
CREATE INDEX health_by_band ON health (band, segment);

CREATE TABLE health_moves (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  occurred_us BIGINT NOT NULL
);

CREATE TABLE clearances (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL,
  topic BIGINT NOT NULL,
  given_us BIGINT NOT NULL,
  given_sequence BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  state BIGINT NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX clearances_by_account ON clearances (account_id, given_sequence);
-- Operators count what has not expired, and what was given of late: never the whole table.
CREATE INDEX clearances_by_expiry ON clearances (expires_us, state, topic);
CREATE INDEX clearances_by_time ON clearances (given_us, state);

CREATE TABLE budgets (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE touches (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL,
  occurred_us BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  verdict BIGINT NOT NULL,
  minutes BIGINT NOT NULL,
  recorded_us BIGINT NOT NULL
);
CREATE INDEX touches_by_account ON touches (account_id, sequence);
CREATE INDEX touches_by_time ON touches (recorded_us, verdict);

CREATE TABLE exceptions (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);
CREATE TABLE surveys (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE follow_ups (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  account_id TEXT COLLATE "C" NOT NULL
);
CREATE INDEX follow_ups_by_account ON follow_ups (account_id);
