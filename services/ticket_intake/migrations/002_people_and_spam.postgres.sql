ALTER TABLE tickets ADD COLUMN suspected_spam BIGINT NOT NULL DEFAULT 0;  -- waits for review as suspected spam
CREATE INDEX tickets_suspected ON tickets (opened_at, key) WHERE suspected_spam = 1;

CREATE TABLE staff (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE contacts (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE accounts (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);

CREATE TABLE address_histories (
  key TEXT COLLATE "C" PRIMARY KEY,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL
);
