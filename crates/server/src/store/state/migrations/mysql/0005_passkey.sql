-- Linking where WhatsApp wants a passkey: the step that waits, and answers for other nodes.

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'sessions' AND column_name = 'passkey'),
    'DO 0',
    'ALTER TABLE sessions ADD COLUMN passkey TEXT'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;

SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = 'session_requests' AND column_name = 'passkey'),
    'DO 0',
    'ALTER TABLE session_requests ADD COLUMN passkey TEXT'
);
PREPARE alteration FROM @alter;
EXECUTE alteration;
DEALLOCATE PREPARE alteration;
