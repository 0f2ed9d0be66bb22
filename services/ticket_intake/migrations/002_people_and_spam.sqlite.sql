ALTER TABLE tickets ADD COLUMN suspected_spam INTEGER NOT NULL DEFAULT 0;  -- waits for review as suspected spam
CREATE INDEX tickets_suspected ON tickets (opened_at, key) WHERE suspected_spam = 1;

CREATE TABLE staff (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE contacts (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE address_histories (
  key TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  body BLOB NOT NULL
) WITHOUT ROWID;
