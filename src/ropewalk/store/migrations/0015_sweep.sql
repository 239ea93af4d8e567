-- Old answers are found by their time.
create index idempotency_by_time on idempotency (at_us);
