-- The first schema, as SeaORM made it, with a campaign that waits for its number.
CREATE TABLE `campaigns` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `kind` varchar(20) NOT NULL,
  `notice_id` bigint(20) DEFAULT NULL,
  `subject` varchar(255) NOT NULL,
  `template` mediumtext NOT NULL,
  `status` varchar(20) NOT NULL,
  `pause_reason` varchar(20) DEFAULT NULL,
  `parent_id` bigint(20) DEFAULT NULL,
  `urgent` bigint(20) NOT NULL DEFAULT 0,
  `starts_at` bigint(20) DEFAULT NULL,
  `expires_at` bigint(20) DEFAULT NULL,
  `fingerprint` varchar(64) NOT NULL,
  `request` mediumtext NOT NULL,
  `supersedes` bigint(20) NOT NULL DEFAULT 0,
  `total` bigint(20) NOT NULL DEFAULT 0,
  `created_at` bigint(20) NOT NULL,
  `started_at` bigint(20) DEFAULT NULL,
  `finished_at` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `campaigns_status` (`status`),
  KEY `campaigns_notice` (`notice_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `contacts` (
  `sender` varchar(20) NOT NULL,
  `phone` varchar(20) NOT NULL,
  `wrote_at` bigint(20) NOT NULL,
  PRIMARY KEY (`sender`,`phone`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `deliveries` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `campaign_id` bigint(20) NOT NULL,
  `position` bigint(20) NOT NULL,
  `customer_id` bigint(20) DEFAULT NULL,
  `customer_name` varchar(255) NOT NULL,
  `phone_raw` varchar(255) DEFAULT NULL,
  `phone` varchar(20) DEFAULT NULL,
  `text` mediumtext DEFAULT NULL,
  `message_id` varchar(64) NOT NULL,
  `state` varchar(20) NOT NULL,
  `sender` varchar(20) DEFAULT NULL,
  `jid` varchar(128) DEFAULT NULL,
  `owner` varchar(64) DEFAULT NULL,
  `epoch` bigint(20) NOT NULL DEFAULT 0,
  `lease_until` bigint(20) DEFAULT NULL,
  `attempts` bigint(20) NOT NULL DEFAULT 0,
  `unanswered` bigint(20) NOT NULL DEFAULT 0,
  `due_at` bigint(20) NOT NULL,
  `error` varchar(500) DEFAULT NULL,
  `first_sent_at` bigint(20) DEFAULT NULL,
  `accepted_at` bigint(20) DEFAULT NULL,
  `delivered_at` bigint(20) DEFAULT NULL,
  `read_at` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `deliveries_message_id` (`message_id`),
  UNIQUE KEY `deliveries_phone` (`campaign_id`,`phone`),
  KEY `deliveries_position` (`campaign_id`,`position`),
  KEY `deliveries_due` (`campaign_id`,`state`,`due_at`,`id`),
  KEY `deliveries_state` (`state`,`due_at`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `fingerprints` (
  `fingerprint` varchar(64) NOT NULL,
  `campaign_id` bigint(20) NOT NULL,
  `created_at` bigint(20) NOT NULL,
  PRIMARY KEY (`fingerprint`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `idempotency_keys` (
  `idempotency_key` varchar(255) NOT NULL,
  `fingerprint` varchar(64) NOT NULL,
  `campaign_id` bigint(20) NOT NULL,
  `created_at` bigint(20) NOT NULL,
  PRIMARY KEY (`idempotency_key`),
  KEY `idempotency_keys_created` (`created_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `numbers` (
  `phone` varchar(20) NOT NULL,
  `registered` bigint(20) NOT NULL DEFAULT 0,
  `jid` varchar(128) DEFAULT NULL,
  `checked_at` bigint(20) NOT NULL,
  PRIMARY KEY (`phone`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `seaql_migrations` (
  `version` varchar(255) NOT NULL,
  `applied_at` bigint(20) NOT NULL,
  PRIMARY KEY (`version`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
CREATE TABLE `senders` (
  `phone` varchar(20) NOT NULL,
  `owner` varchar(64) DEFAULT NULL,
  `epoch` bigint(20) NOT NULL DEFAULT 0,
  `lease_until` bigint(20) NOT NULL,
  `next_slot_at` bigint(20) NOT NULL,
  `linked_at` bigint(20) NOT NULL,
  `day` bigint(20) NOT NULL DEFAULT 0,
  `sent_today` bigint(20) NOT NULL DEFAULT 0,
  `reach_out_until` bigint(20) NOT NULL DEFAULT 0,
  PRIMARY KEY (`phone`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO seaql_migrations VALUES ('m0001_campaigns', 1767225600);
INSERT INTO campaigns (kind, subject, template, status, pause_reason, fingerprint, request, total, created_at, started_at) VALUES ('custom', 'Kabel putus', 'Halo {nama}', 'paused', 'not_linked', 'f1', '{}', 2, 1767225600000, 1767225600000);
INSERT INTO deliveries (campaign_id, position, customer_name, phone_raw, phone, text, message_id, state, due_at) VALUES (1, 0, 'Budi', '0812 3456 7801', '6281234567801', 'Halo Budi', '3EB0000000000000000001', 'queued', 1767225600000), (1, 1, 'Sari', '081234567802', '6281234567802', NULL, '3EB0000000000000000002', 'delivered', 1767225600000);
INSERT INTO contacts (sender, phone, wrote_at) VALUES ('6281100000001', '6281234567802', 1767225600000);
INSERT INTO senders (phone, lease_until, next_slot_at, linked_at, day, sent_today) VALUES ('6281100000001', 0, 0, 1767225600000, 20454, 7);
