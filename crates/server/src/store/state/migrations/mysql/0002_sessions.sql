-- Numbers as rows: a session is a WhatsApp number that any node can hold.
--
-- The table `senders` stays as it was; a number that it knows takes what it has sent from there
-- when it is linked (see session_links.rs).

CREATE TABLE IF NOT EXISTS sessions (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    kind VARCHAR(20) NOT NULL,
    phone VARCHAR(20),
    link VARCHAR(20) NOT NULL,
    link_until BIGINT,
    qr VARCHAR(1000),
    last_error VARCHAR(500),
    paused BIGINT NOT NULL DEFAULT 0,
    delay_ms BIGINT,
    jitter_ms BIGINT,
    daily_cap BIGINT,
    owner VARCHAR(64),
    epoch BIGINT NOT NULL DEFAULT 0,
    lease_until BIGINT NOT NULL DEFAULT 0,
    next_slot_at BIGINT NOT NULL DEFAULT 0,
    linked_at BIGINT,
    day BIGINT NOT NULL DEFAULT 0,
    sent_today BIGINT NOT NULL DEFAULT 0,
    reach_out_until BIGINT NOT NULL DEFAULT 0,
    waiting_since BIGINT,
    KEY sessions_phone (phone)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS session_requests (
    id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
    session VARCHAR(64) NOT NULL,
    action VARCHAR(20) NOT NULL,
    phone VARCHAR(20),
    asked_at BIGINT NOT NULL,
    answer VARCHAR(500)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- MySQL has no ADD COLUMN IF NOT EXISTS.
SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'contacts' AND column_name = 'sent_at'),
    'DO 0',
    'ALTER TABLE contacts ADD COLUMN sent_at BIGINT NOT NULL DEFAULT 0'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'contacts' AND index_name = 'contacts_phone'),
    'DO 0',
    'ALTER TABLE contacts ADD KEY contacts_phone (phone)'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'campaigns' AND column_name = 'sessions'),
    'DO 0',
    'ALTER TABLE campaigns ADD COLUMN sessions TEXT'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'deliveries' AND index_name = 'deliveries_waiting'),
    'DO 0',
    'ALTER TABLE deliveries ADD KEY deliveries_waiting (phone, state)'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;

-- What the numbers cannot do just now is no pause any more.
UPDATE campaigns SET status = 'running', pause_reason = NULL
WHERE status = 'paused' AND pause_reason NOT IN ('manual', 'breaker');
