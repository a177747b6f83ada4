-- How much a phone has told of its chats since it was linked, in percent.

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'sessions' AND column_name = 'history'),
    'DO 0',
    'ALTER TABLE sessions ADD COLUMN history BIGINT'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;
