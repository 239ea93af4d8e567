-- An orchestrator's run may do one pipeline with several arguments: each of them is a run of ours. Rows from before name
-- none (''), so that what they stood for is begun anew and found in the cache.
create table orchestrated_before as select pipeline, key, run_id, graph, at_us from orchestrated_runs;
drop table orchestrated_runs;
create table orchestrated_runs (
    pipeline text not null,
    key text not null,
    args text not null,
    run_id text not null,
    graph text not null,
    at_us bigint not null,
    primary key (pipeline, key, args)
);
insert into orchestrated_runs (pipeline, key, args, run_id, graph, at_us)
select pipeline, key, '', run_id, graph, at_us from orchestrated_before;
drop table orchestrated_before;

-- Who makes the outcome of a key now, for an orchestrator's run: another run that wants the same waits for it.
create table key_leases (
    key text not null primary key,
    run_id text not null,
    node text not null,
    host text not null,
    boot text not null,
    pid bigint not null,
    born bigint not null,
    expires_us bigint not null,
    fence bigint not null
);
