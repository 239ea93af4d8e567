drop table key_leases;
create table orchestrated_after as
select o.pipeline, o.key, o.run_id, o.graph, o.at_us from orchestrated_runs o where not exists (
    select 1 from orchestrated_runs p where p.pipeline = o.pipeline and p.key = o.key
        and (p.at_us > o.at_us or (p.at_us = o.at_us and p.args > o.args)));
drop table orchestrated_runs;
create table orchestrated_runs (
    pipeline text not null,
    key text not null,
    run_id text not null,
    graph text not null,
    at_us bigint not null,
    primary key (pipeline, key)
);
insert into orchestrated_runs (pipeline, key, run_id, graph, at_us)
select pipeline, key, run_id, graph, at_us from orchestrated_after;
drop table orchestrated_after;
