-- The calls of a run's graph, so that whoever looks at the run later needs none of its code: JSON, or the digest of a blob.
create table graph_nodes (
    run_id text primary key,
    nodes text not null
);

-- Attempts at steps that failed and were tried again; the last one of each step is in `steps`.
create table step_attempts (
    run_id text not null,
    node text not null,
    attempt integer not null,
    started_us bigint not null,
    ended_us bigint not null,
    error text not null,
    primary key (run_id, node, started_us, attempt)
);
