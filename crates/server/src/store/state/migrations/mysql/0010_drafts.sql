-- Sends that somebody prepares on the operator's page.

CREATE TABLE IF NOT EXISTS drafts (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    content MEDIUMTEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    KEY drafts_changed (changed_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
