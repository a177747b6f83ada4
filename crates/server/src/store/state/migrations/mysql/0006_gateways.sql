-- Gateways in other processes: what ours keeps for those in front of it, and what those in front of
-- one know about theirs.
-- MEDIUMTEXT, because TEXT ends at 64 KiB, less than a receipt for many messages.

CREATE TABLE IF NOT EXISTS gateway_messages (
    message_id VARCHAR(64) NOT NULL PRIMARY KEY,
    phone VARCHAR(20) NOT NULL,
    answered BIGINT NOT NULL DEFAULT 0,
    refusal MEDIUMTEXT,
    asked_at BIGINT NOT NULL DEFAULT 0,
    KEY gateway_messages_asked (asked_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS gateway_events (
    id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
    session VARCHAR(64) NOT NULL,
    event MEDIUMTEXT NOT NULL,
    told_at BIGINT NOT NULL DEFAULT 0,
    KEY gateway_events_place (session, id),
    KEY gateway_events_age (session, told_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'deliveries' AND column_name = 'unrepeatable'),
    'DO 0',
    'ALTER TABLE deliveries ADD COLUMN unrepeatable BIGINT NOT NULL DEFAULT 0'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'sessions' AND column_name = 'heard'),
    'DO 0',
    'ALTER TABLE sessions ADD COLUMN heard VARCHAR(64)'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;
