-- The first page looks for campaigns that ran since yesterday, among all that ever ran.

CREATE INDEX campaigns_finished ON campaigns (finished_at);
