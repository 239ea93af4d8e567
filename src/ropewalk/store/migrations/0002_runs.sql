-- What runs belong to; the names of deleted ones stay taken. The first one is there from the start.
create table experiments (
    id integer primary key,
    name text not null unique,
    location text not null,
    state text not null,
    created_us bigint not null,
    updated_us bigint not null
);
create index experiments_by_creation on experiments (created_us, id);
create index experiments_by_update on experiments (updated_us, id);
insert into experiments (id, name, location, state, created_us, updated_us)
values (0, 'Default', 'mlflow-artifacts:/0', 'active', 0, 0);
create table experiment_tags (
    experiment bigint not null references experiments (id),
    key text not null,
    value text not null,
    primary key (experiment, key)
) without rowid;

-- What was run: one row a run, with the lease of who runs it. Rows of what it logged name it by its number.
create table runs (
    number integer primary key,
    id text not null unique,
    experiment bigint not null references experiments (id),
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
    fence bigint not null,
    user_name text not null,
    source_name text not null,
    source_type text not null,
    location text not null,
    heartbeat_seconds integer not null,
    deleted_us bigint,
    reopened_us bigint
);
create index runs_by_start on runs (started_us, id);
create index runs_by_state on runs (state, started_us);
create index runs_by_command on runs (pipeline, code, state);
create index runs_by_name on runs (name, started_us);
create index runs_by_experiment on runs (experiment, started_us, id);
create index runs_active on runs (experiment, started_us, id) where deleted_us is null;
create index runs_leased on runs (state, started_us, id) where kind <> 'remote' or heartbeat_seconds > 0;
create index runs_reopened on runs (reopened_us) where reopened_us is not null;

-- Which parts of a run's log were written, so that the same part never counts twice.
create table run_parts (
    run_id text not null references runs (id),
    node text not null,
    part integer not null,
    at_us bigint not null,
    primary key (run_id, node, part)
);

-- Every point of every metric, lean: a series has a number. NaN has no word in SQL, so it is a flag.
create table series (
    id integer primary key,
    run bigint not null references runs (number),
    key text not null,
    node text not null,
    unique (run, key, node)
);
create table points (
    series bigint not null,
    at_ms bigint not null,
    step bigint not null,
    value double precision not null,
    is_nan integer not null,
    primary key (series, at_ms, step, value, is_nan)
) without rowid;

-- The newest point of each metric: highest step, then latest time, then largest value. The row without a node is the
-- run's own: where several steps logged a metric of one name, the newest of theirs.
create table latest (
    run bigint not null,
    key text not null,
    node text not null,
    experiment bigint not null,
    started_us bigint not null,
    step bigint not null,
    at_ms bigint not null,
    value double precision not null,
    is_nan integer not null,
    primary key (run, key, node)
) without rowid;
create index latest_by_value on latest (experiment, key, is_nan, value, started_us) where node = '';

-- Parameters stay as they were written, tags change. The row without a node is the run's own: what the first step said.
create table run_params (
    run bigint not null references runs (number),
    key text not null,
    node text not null,
    value text not null,
    experiment bigint not null,
    started_us bigint not null,
    primary key (run, key, node)
) without rowid;
create index run_params_by_value on run_params (experiment, key, substr(value, 1, 160), started_us) where node = '';
create table run_tags (
    run bigint not null references runs (number),
    key text not null,
    node text not null,
    value text not null,
    experiment bigint not null,
    started_us bigint not null,
    primary key (run, key, node)
) without rowid;
create index run_tags_by_value on run_tags (experiment, key, substr(value, 1, 160), started_us) where node = '';

-- Files, models and frames of a run; all but frames stay as they were written.
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
