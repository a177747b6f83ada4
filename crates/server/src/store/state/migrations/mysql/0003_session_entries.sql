-- WhatsApp sessions: sealed entries.
-- MEDIUMBLOB, because BLOB ends at 64 KiB.

CREATE TABLE IF NOT EXISTS session_entries (
    session VARCHAR(64) NOT NULL,
    collection VARCHAR(32) NOT NULL,
    name VARBINARY(16) NOT NULL,
    value MEDIUMBLOB NOT NULL,
    stamp BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (session, collection, name)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
