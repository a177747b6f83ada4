-- How much a phone has told of its chats since it was linked, in percent.

ALTER TABLE sessions ADD COLUMN history INTEGER;
