-- The pages that list recipients by state, and what a customer was sent.

CREATE INDEX deliveries_listed ON deliveries (campaign_id, state, position);
CREATE INDEX deliveries_customer ON deliveries (customer_id, id);
