-- Campaigns and their deliveries. Times are milliseconds since 1970 UTC.

CREATE TABLE campaigns (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    notice_id INTEGER,
    subject TEXT NOT NULL,
    template TEXT NOT NULL,
    status TEXT NOT NULL,
    pause_reason TEXT,
    parent_id INTEGER,
    urgent INTEGER NOT NULL DEFAULT 0,
    starts_at INTEGER,
    expires_at INTEGER,
    fingerprint TEXT NOT NULL,
    request TEXT NOT NULL,
    supersedes INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
);
CREATE INDEX campaigns_status ON campaigns (status);
CREATE INDEX campaigns_notice ON campaigns (notice_id);

CREATE TABLE deliveries (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    campaign_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    customer_id INTEGER,
    customer_name TEXT NOT NULL,
    phone_raw TEXT,
    phone TEXT,
    text TEXT,
    message_id TEXT NOT NULL,
    state TEXT NOT NULL,
    sender TEXT,
    jid TEXT,
    owner TEXT,
    epoch INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    unanswered INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    error TEXT,
    first_sent_at INTEGER,
    accepted_at INTEGER,
    delivered_at INTEGER,
    read_at INTEGER
);
CREATE UNIQUE INDEX deliveries_phone ON deliveries (campaign_id, phone);
CREATE UNIQUE INDEX deliveries_message_id ON deliveries (message_id);
CREATE INDEX deliveries_position ON deliveries (campaign_id, position);
CREATE INDEX deliveries_due ON deliveries (campaign_id, state, due_at, id);
CREATE INDEX deliveries_state ON deliveries (state, due_at, id);

CREATE TABLE senders (
    phone TEXT NOT NULL PRIMARY KEY,
    owner TEXT,
    epoch INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER NOT NULL,
    next_slot_at INTEGER NOT NULL,
    linked_at INTEGER NOT NULL,
    day INTEGER NOT NULL DEFAULT 0,
    sent_today INTEGER NOT NULL DEFAULT 0,
    reach_out_until INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE numbers (
    phone TEXT NOT NULL PRIMARY KEY,
    registered INTEGER NOT NULL DEFAULT 0,
    jid TEXT,
    checked_at INTEGER NOT NULL
);

CREATE TABLE contacts (
    sender TEXT NOT NULL,
    phone TEXT NOT NULL,
    wrote_at INTEGER NOT NULL,
    PRIMARY KEY (sender, phone)
);

CREATE TABLE idempotency_keys (
    idempotency_key TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    campaign_id INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

CREATE TABLE fingerprints (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    campaign_id INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
