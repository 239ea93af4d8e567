-- What was run: one row a run, with the lease of who runs it.
create table runs (
    id text primary key,
    experiment text not null,
    name text not null,
    kind text not null,
    state text not null,
    pipeline text not null,
    args text not null,
    code text not null,
    commit_sha text not null,
    branch text not null,
    author text not null,
    dirty integer not null,
    environment text not null,
    started_us bigint not null,
    ended_us bigint,
    error text not null,
    parent text not null,
    host text not null,
    boot text not null,
    pid bigint not null,
    born bigint not null,
    expires_us bigint not null,
    fence bigint not null
);
create index runs_by_start on runs (started_us, id);
create index runs_by_state on runs (state, started_us);
create index runs_by_command on runs (pipeline, code, state);
create index runs_by_experiment on runs (experiment, started_us, id);

-- Which parts of a run's log were written, so that the same part never counts twice.
create table run_parts (
    run_id text not null references runs (id),
    node text not null,
    part integer not null,
    at_us bigint not null,
    primary key (run_id, node, part)
);

-- Every point of every metric; NaN has no word in SQL, so it is a flag.
create table run_metrics (
    run_id text not null references runs (id),
    node text not null,
    key text not null,
    step bigint not null,
    at_us bigint not null,
    value double precision not null,
    is_nan integer not null
);
create index run_metrics_by_key on run_metrics (run_id, key, step);

-- The newest point of each metric: highest step, then latest time.
create table run_latest (
    run_id text not null references runs (id),
    node text not null,
    key text not null,
    step bigint not null,
    at_us bigint not null,
    value double precision not null,
    is_nan integer not null,
    primary key (run_id, key, node)
);
create index run_latest_by_value on run_latest (key, value);

-- Parameters, tags, artifacts and models of a run; all but tags stay as they were written.
create table run_values (
    run_id text not null references runs (id),
    kind text not null,
    key text not null,
    node text not null,
    value text not null,
    at_us bigint not null,
    primary key (run_id, kind, key, node)
);
create index run_values_by_key on run_values (kind, key, run_id);
