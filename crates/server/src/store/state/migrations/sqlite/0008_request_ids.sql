-- The request that made a campaign, as logs and the answer's header name it.

ALTER TABLE campaigns ADD COLUMN request_id TEXT;
