drop index idempotency_by_time;
