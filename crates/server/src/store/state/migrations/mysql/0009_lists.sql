-- The pages that list recipients by state, and what a customer was sent.
-- MySQL has no ADD KEY IF NOT EXISTS.

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'deliveries' AND index_name = 'deliveries_listed'),
    'DO 0',
    'ALTER TABLE deliveries ADD KEY deliveries_listed (campaign_id, state, position)'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'deliveries' AND index_name = 'deliveries_customer'),
    'DO 0',
    'ALTER TABLE deliveries ADD KEY deliveries_customer (customer_id, id)'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;
