-- The request that made a campaign, as logs and the answer's header name it; the counts of one
-- whose deliveries are deleted; and what one node does for all.

ALTER TABLE campaigns ADD COLUMN request_id TEXT;
ALTER TABLE campaigns ADD COLUMN counts TEXT;

CREATE TABLE node_tasks (
    task TEXT NOT NULL PRIMARY KEY,
    owner TEXT,
    lease_until INTEGER NOT NULL DEFAULT 0
);
INSERT INTO node_tasks (task) VALUES ('retention');
