-- The messages of a campaign belong to the trace of the request that made it.
-- MySQL has no ADD COLUMN IF NOT EXISTS.

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'campaigns' AND column_name = 'traceparent'),
    'DO 0',
    'ALTER TABLE campaigns ADD COLUMN traceparent VARCHAR(64)'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;
