drop table idempotency;
drop table event_readers;
drop table events;
drop table ledger;
