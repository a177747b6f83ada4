-- Linking where WhatsApp wants a passkey: the step that waits, and answers for other nodes.

ALTER TABLE sessions ADD COLUMN passkey TEXT;
ALTER TABLE session_requests ADD COLUMN passkey TEXT;
