-- A segment's file whose rows are in another segment now, or forgotten: it goes when nobody reads it any more.
create table segment_leavings (
    path text primary key,
    endpoint text not null,
    at_us bigint not null
);

-- A topic that is scored: whether people have paused it, and what its consumer saw last.
create table streams (
    name text primary key,
    paused integer not null,
    position text not null,
    lag bigint,
    seen_us bigint,
    problem text not null
);

-- A message that was taken: what became of it, once for all deliveries. `result` is what is published, until it is.
create table stream_messages (
    stream text not null,
    message text not null,
    state text not null,
    attempts bigint not null,
    prediction text not null,
    release text not null,
    position text not null,
    body text not null,
    result text not null,
    published integer not null,
    error text not null,
    at_us bigint not null,
    primary key (stream, message)
);
create index stream_messages_by_state on stream_messages (stream, state, at_us);
create index stream_messages_unpublished on stream_messages (stream, published, at_us);

-- How far a sink has come: the newest entry of the ledger whose segment it has taken whole.
create table sinks (
    name text primary key,
    seq bigint not null,
    rows_sent bigint not null,
    at_us bigint not null,
    problem text not null
);
