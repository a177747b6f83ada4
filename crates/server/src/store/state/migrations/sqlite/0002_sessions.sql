-- Numbers as rows: a session is a WhatsApp number that any node can hold.
--
-- The table `senders` stays as it was; a number that it knows takes what it has sent from there
-- when it is linked (see session_links.rs).

CREATE TABLE sessions (
    name TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    phone TEXT,
    link TEXT NOT NULL,
    link_until INTEGER,
    qr TEXT,
    last_error TEXT,
    paused INTEGER NOT NULL DEFAULT 0,
    delay_ms INTEGER,
    jitter_ms INTEGER,
    daily_cap INTEGER,
    owner TEXT,
    epoch INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER NOT NULL DEFAULT 0,
    next_slot_at INTEGER NOT NULL DEFAULT 0,
    linked_at INTEGER,
    day INTEGER NOT NULL DEFAULT 0,
    sent_today INTEGER NOT NULL DEFAULT 0,
    reach_out_until INTEGER NOT NULL DEFAULT 0,
    waiting_since INTEGER
);
CREATE INDEX sessions_phone ON sessions (phone);

CREATE TABLE session_requests (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,
    action TEXT NOT NULL,
    phone TEXT,
    asked_at INTEGER NOT NULL,
    answer TEXT
);

ALTER TABLE contacts ADD COLUMN sent_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX contacts_phone ON contacts (phone);

ALTER TABLE campaigns ADD COLUMN sessions TEXT;

CREATE INDEX deliveries_waiting ON deliveries (phone, state);

-- What the numbers cannot do just now is no pause any more.
UPDATE campaigns SET status = 'running', pause_reason = NULL
WHERE status = 'paused' AND pause_reason NOT IN ('manual', 'breaker');
