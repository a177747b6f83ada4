-- The messages of a campaign belong to the trace of the request that made it.

ALTER TABLE campaigns ADD COLUMN traceparent TEXT;
