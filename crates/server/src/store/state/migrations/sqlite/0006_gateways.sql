-- Gateways in other processes: what ours keeps for those in front of it, and what those in front of
-- one know about theirs.

CREATE TABLE gateway_messages (
    message_id TEXT NOT NULL PRIMARY KEY,
    phone TEXT NOT NULL,
    answered INTEGER NOT NULL DEFAULT 0,
    refusal TEXT,
    asked_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX gateway_messages_asked ON gateway_messages (asked_at);

CREATE TABLE gateway_events (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL,
    event TEXT NOT NULL,
    told_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX gateway_events_place ON gateway_events (session, id);
CREATE INDEX gateway_events_age ON gateway_events (session, told_at);

ALTER TABLE deliveries ADD COLUMN unrepeatable INTEGER NOT NULL DEFAULT 0;

ALTER TABLE sessions ADD COLUMN heard TEXT;
