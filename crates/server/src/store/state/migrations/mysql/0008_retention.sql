-- The request that made a campaign, as logs and the answer's header name it; the counts of one
-- whose deliveries are deleted; and what one node does for all.

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'campaigns' AND column_name = 'request_id'),
    'DO 0',
    'ALTER TABLE campaigns ADD COLUMN request_id VARCHAR(64)'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'campaigns' AND column_name = 'counts'),
    'DO 0',
    'ALTER TABLE campaigns ADD COLUMN counts VARCHAR(500)'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;

CREATE TABLE IF NOT EXISTS node_tasks (
    task VARCHAR(64) NOT NULL PRIMARY KEY,
    owner VARCHAR(64),
    lease_until BIGINT NOT NULL DEFAULT 0
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO node_tasks (task) VALUES ('retention');
