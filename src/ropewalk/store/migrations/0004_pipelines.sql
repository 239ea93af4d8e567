-- What a step gave for a key; written once, never changed.
create table outcomes (
    key text primary key,
    step text not null,
    code text not null,
    inputs text not null,
    value text not null,
    digest text not null,
    entries text not null,
    frames text not null,
    run_id text not null,
    node text not null,
    at_us bigint not null
);

-- Codes of steps by their parts, so that people can be told what has changed.
create table step_codes (
    digest text primary key,
    parts text not null
);

-- What a run did with each node of its graph.
create table steps (
    run_id text not null,
    node text not null,
    position integer not null,
    pipeline text not null,
    step text not null,
    state text not null,
    attempt integer not null,
    key text not null,
    code text not null,
    inputs text not null,
    reason text not null,
    error text not null,
    fence bigint not null,
    started_us bigint not null,
    ended_us bigint,
    primary key (run_id, node)
);
create index steps_by_node on steps (pipeline, node, started_us);
create index steps_by_key on steps (key);

-- Which graph a run walks: pipeline, arguments, calls and the code of its steps in one digest.
create table run_graphs (
    run_id text primary key,
    graph text not null
);
create index run_graphs_by_graph on run_graphs (graph, run_id);
