-- WhatsApp sessions: sealed entries.

CREATE TABLE session_entries (
    session TEXT NOT NULL,
    collection TEXT NOT NULL,
    name BLOB NOT NULL,
    value BLOB NOT NULL,
    stamp INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session, collection, name)
);
