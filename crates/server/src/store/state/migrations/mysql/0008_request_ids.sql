-- The request that made a campaign, as logs and the answer's header name it.

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'campaigns' AND column_name = 'request_id'),
    'DO 0',
    'ALTER TABLE campaigns ADD COLUMN request_id VARCHAR(64)'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;
