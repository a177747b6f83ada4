-- Campaigns and their deliveries. Times are milliseconds since 1970 UTC.
-- Text compares by its bytes: keys are equal only if their bytes are. MEDIUMTEXT, because TEXT ends
-- at 64 KiB, less than the longest WhatsApp message.
--
-- A step may run again after a node died in it: schema changes commit by themselves here.

CREATE TABLE IF NOT EXISTS campaigns (
    id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
    kind VARCHAR(20) NOT NULL,
    notice_id BIGINT,
    subject VARCHAR(255) NOT NULL,
    template MEDIUMTEXT NOT NULL,
    status VARCHAR(20) NOT NULL,
    pause_reason VARCHAR(20),
    parent_id BIGINT,
    urgent BIGINT NOT NULL DEFAULT 0,
    starts_at BIGINT,
    expires_at BIGINT,
    fingerprint VARCHAR(64) NOT NULL,
    request MEDIUMTEXT NOT NULL,
    supersedes BIGINT NOT NULL DEFAULT 0,
    total BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    KEY campaigns_status (status),
    KEY campaigns_notice (notice_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS deliveries (
    id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
    campaign_id BIGINT NOT NULL,
    position BIGINT NOT NULL,
    customer_id BIGINT,
    customer_name VARCHAR(255) NOT NULL,
    phone_raw VARCHAR(255),
    phone VARCHAR(20),
    text MEDIUMTEXT,
    message_id VARCHAR(64) NOT NULL,
    state VARCHAR(20) NOT NULL,
    sender VARCHAR(20),
    jid VARCHAR(128),
    owner VARCHAR(64),
    epoch BIGINT NOT NULL DEFAULT 0,
    lease_until BIGINT,
    attempts BIGINT NOT NULL DEFAULT 0,
    unanswered BIGINT NOT NULL DEFAULT 0,
    due_at BIGINT NOT NULL,
    error VARCHAR(500),
    first_sent_at BIGINT,
    accepted_at BIGINT,
    delivered_at BIGINT,
    read_at BIGINT,
    UNIQUE KEY deliveries_phone (campaign_id, phone),
    UNIQUE KEY deliveries_message_id (message_id),
    KEY deliveries_position (campaign_id, position),
    KEY deliveries_due (campaign_id, state, due_at, id),
    KEY deliveries_state (state, due_at, id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS senders (
    phone VARCHAR(20) NOT NULL PRIMARY KEY,
    owner VARCHAR(64),
    epoch BIGINT NOT NULL DEFAULT 0,
    lease_until BIGINT NOT NULL,
    next_slot_at BIGINT NOT NULL,
    linked_at BIGINT NOT NULL,
    day BIGINT NOT NULL DEFAULT 0,
    sent_today BIGINT NOT NULL DEFAULT 0,
    reach_out_until BIGINT NOT NULL DEFAULT 0
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS numbers (
    phone VARCHAR(20) NOT NULL PRIMARY KEY,
    registered BIGINT NOT NULL DEFAULT 0,
    jid VARCHAR(128),
    checked_at BIGINT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS contacts (
    sender VARCHAR(20) NOT NULL,
    phone VARCHAR(20) NOT NULL,
    wrote_at BIGINT NOT NULL,
    PRIMARY KEY (sender, phone)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS idempotency_keys (
    idempotency_key VARCHAR(255) NOT NULL PRIMARY KEY,
    fingerprint VARCHAR(64) NOT NULL,
    campaign_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    KEY idempotency_keys_created (created_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS fingerprints (
    fingerprint VARCHAR(64) NOT NULL PRIMARY KEY,
    campaign_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
