-- A search over a pipeline's arguments: a run of its own whose children are the trials. `key` is everything by which the
-- same command is the same sweep: pipeline, code, declared files, space, method.
create table sweeps (
    run_id text primary key,
    key text not null,
    pipeline text not null,
    space text not null,
    method text not null,
    trials bigint not null,
    seed bigint not null,
    goal text not null,
    parallel bigint not null,
    failures_max bigint not null
);
create index sweeps_by_key on sweeps (key, run_id);
create index sweeps_by_pipeline on sweeps (pipeline, run_id);

-- One row a trial, whatever becomes of it. `run` is the run that does it, or did.
create table trials (
    sweep text not null references sweeps (run_id),
    number bigint not null,
    args text not null,
    state text not null,
    run text not null,
    value double precision,
    error text not null,
    at_us bigint not null,
    primary key (sweep, number)
);
create index trials_by_state on trials (sweep, state, number);
create index trials_by_value on trials (sweep, value, number);
