-- What starts pipelines by itself. Everything up to `cursor_us` is decided, events up to `since` are not its business,
-- and `seen` is what a trigger saw last. The secret is encrypted.
create table schedules (
    name text primary key,
    pipeline text not null,
    kind text not null,
    spec text not null,
    state text not null,
    cursor_us bigint not null,
    since bigint not null,
    seen text not null,
    secret blob,
    created_us bigint not null,
    updated_us bigint not null
);

-- Every start: one row for each schedule and key, so that it is never made twice; with the lease of who runs it.
create table fires (
    id text primary key,
    schedule text not null references schedules (name),
    key text not null,
    cause text not null,
    actor text not null,
    backfill text not null,
    due_us bigint not null,
    not_before_us bigint not null,
    from_us bigint,
    until_us bigint,
    args text not null,
    told text not null,
    state text not null,
    cancel integer not null,
    note text not null,
    run text not null,
    host text not null,
    boot text not null,
    pid bigint not null,
    born bigint not null,
    expires_us bigint not null,
    fence bigint not null,
    created_us bigint not null,
    started_us bigint,
    ended_us bigint,
    unique (schedule, key)
);
create index fires_by_schedule on fires (schedule, due_us, id);
create index fires_open on fires (due_us, id) where state in ('waiting', 'running');
create index fires_by_backfill on fires (backfill, due_us, id) where backfill <> '';
create index fires_by_run on fires (run, schedule) where run <> '';
create index fires_by_time on fires (due_us, id);

-- A schedule's intervals of a range of the past, as one thing: its starts are rows of `fires`.
create table backfills (
    id text primary key,
    schedule text not null references schedules (name),
    from_us bigint not null,
    until_us bigint not null,
    parallel integer not null,
    state text not null,
    actor text not null,
    created_us bigint not null,
    ended_us bigint
);
create index backfills_by_schedule on backfills (schedule, created_us, id);
create index backfills_by_time on backfills (created_us, id);
