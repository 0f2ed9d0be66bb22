-- serves_from: 1
-- Whose a clearance is, so that those of somebody who left are found. '?': given before this step.
ALTER TABLE clearances ADD COLUMN staff_id TEXT NOT NULL DEFAULT '?';
CREATE INDEX clearances_by_staff ON clearances (staff_id, expires_us) WHERE state = 1;

-- Whether a ticket is open and nobody knows its account: 1 or 0. 2: last changed before this step.
ALTER TABLE tickets ADD COLUMN is_unattributed INTEGER NOT NULL DEFAULT 2;
CREATE INDEX tickets_unattributed ON tickets (is_unattributed, key) WHERE account_id = '';

-- The mail domain of an unresolved requester, so that an account that gets the domain finds it; empty: it came
-- without a mail address. '?': first seen before this step.
ALTER TABLE requesters ADD COLUMN domain TEXT NOT NULL DEFAULT '?';
CREATE INDEX requesters_by_domain ON requesters (domain, key) WHERE is_open = 1;

-- Addresses that were stored before they were parsed are indexed by their canonical form, a page a firing.
INSERT INTO timers (id, due, kind, key, bound, payload, traceparent)
SELECT 'index_addresses', CAST(strftime('%s', 'now') AS INTEGER) * 1000000, 'index_addresses', 'index_addresses', -1, x'', ''
WHERE EXISTS (SELECT 1 FROM contacts) OR EXISTS (SELECT 1 FROM requesters);
