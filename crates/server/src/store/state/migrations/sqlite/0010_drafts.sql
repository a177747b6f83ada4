-- Sends that somebody prepares on the operator's page.

CREATE TABLE drafts (
    id TEXT NOT NULL PRIMARY KEY,
    content TEXT NOT NULL,
    changed_at INTEGER NOT NULL
);

CREATE INDEX drafts_changed ON drafts (changed_at);
