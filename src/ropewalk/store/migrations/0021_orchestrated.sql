-- A run that an orchestrator drives step by step: `key` is the orchestrator's own name of it, `graph` what was begun.
create table orchestrated_runs (
    pipeline text not null,
    key text not null,
    run_id text not null,
    graph text not null,
    at_us bigint not null,
    primary key (pipeline, key)
);

-- Who runs a step of such a run now: results count only with the current fence. `failures` are the step's own.
create table step_leases (
    run_id text not null,
    node text not null,
    host text not null,
    boot text not null,
    pid bigint not null,
    born bigint not null,
    expires_us bigint not null,
    fence bigint not null,
    failures bigint not null,
    primary key (run_id, node)
);
