-- Records: key, version and body; the other columns are derived from the body for queries. Tables whose
-- keys begin with the account id ("acme/000000000001") are read in ranges of their keys. WITHOUT ROWID: small
-- rows stand in the tree of their keys, one tree instead of two.
CREATE TABLE accounts (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL,
                       segment INTEGER NOT NULL, stage INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE contacts (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL,
                       account_id TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX contacts_by_account ON contacts (account_id, key);

CREATE TABLE teams (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE addresses (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE domains (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE names (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE requesters (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL,
                         is_open INTEGER NOT NULL, first_seen_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX requesters_open ON requesters (is_open, first_seen_us, key) WHERE is_open = 1;

CREATE TABLE staff (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE journals (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE timeline (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE tickets (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL,
                      account_id TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX tickets_by_account ON tickets (account_id, key);

-- account_topics, contact_topics: bit n = topic number n is held for everybody, for some contact.
CREATE TABLE holds (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL,
                    is_held INTEGER NOT NULL, account_topics INTEGER NOT NULL,
                    contact_topics INTEGER NOT NULL, held_contacts INTEGER NOT NULL,
                    is_parked INTEGER NOT NULL);
CREATE INDEX holds_held ON holds (is_held, account_topics, contact_topics, held_contacts, is_parked)
    WHERE is_held = 1;
CREATE TABLE issues (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE contact_holds (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE parked (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;

-- sort_score: accounts without a number come last.
CREATE TABLE health (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL,
                     band INTEGER NOT NULL, segment INTEGER NOT NULL, sort_score INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX health_by_score ON health (sort_score, key);
CREATE INDEX health_by_band ON health (band, segment);

CREATE TABLE health_moves (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL,
                           occurred_us INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE clearances (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL,
                         account_id TEXT NOT NULL, topic INTEGER NOT NULL, given_us INTEGER NOT NULL,
                         given_sequence INTEGER NOT NULL, expires_us INTEGER NOT NULL,
                         state INTEGER NOT NULL);
CREATE INDEX clearances_by_account ON clearances (account_id, given_sequence);
-- Operators count what has not expired, and what was given of late: never the whole table.
CREATE INDEX clearances_by_expiry ON clearances (expires_us, state, topic);
CREATE INDEX clearances_by_time ON clearances (given_us, state);

CREATE TABLE budgets (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE touches (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL,
                      account_id TEXT NOT NULL, occurred_us INTEGER NOT NULL, sequence INTEGER NOT NULL,
                      verdict INTEGER NOT NULL, minutes INTEGER NOT NULL, recorded_us INTEGER NOT NULL);
CREATE INDEX touches_by_account ON touches (account_id, sequence);
CREATE INDEX touches_by_time ON touches (recorded_us, verdict);

CREATE TABLE exceptions (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE surveys (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL);

CREATE TABLE follow_ups (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL,
                         account_id TEXT NOT NULL);
CREATE INDEX follow_ups_by_account ON follow_ups (account_id);
