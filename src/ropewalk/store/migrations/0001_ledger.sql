-- What happened, in order, chained by hash and signed; nobody may change or remove a row.
create table ledger (
    seq integer primary key,
    at_us integer not null,
    actor text not null,
    kind text not null,
    subject text not null,
    body text not null,
    prev text not null,
    hash text not null unique,
    signature text not null
);
create index ledger_by_subject on ledger (subject, seq);
create index ledger_by_kind on ledger (kind, seq);
create trigger ledger_keeps_rows before delete on ledger
begin
    select raise(abort, 'the ledger keeps every row');
end;
create trigger ledger_keeps_words before update on ledger
begin
    select raise(abort, 'the ledger keeps every row as it was written');
end;

-- Facts that loops wait for, written in the transaction that made them.
create table events (
    seq integer primary key,
    at_us integer not null,
    kind text not null,
    subject text not null,
    body text not null
);
create index events_by_kind on events (kind, seq);
-- How far each loop has read.
create table event_readers (
    reader text primary key,
    seq integer not null
);

-- Answers kept for callers that ask again with the same key.
create table idempotency (
    key text primary key,
    at_us integer not null,
    answer text not null
);
