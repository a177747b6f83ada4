-- The first page looks for campaigns that ran since yesterday, among all that ever ran.
-- MySQL has no ADD KEY IF NOT EXISTS.

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'campaigns' AND index_name = 'campaigns_finished'),
    'DO 0',
    'ALTER TABLE campaigns ADD KEY campaigns_finished (finished_at)'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;
