-- What the steps saw and made, by content: one row for each time that a run recorded a frame.
create table snapshots (
    run_id text not null,
    node text not null,
    name text not null,
    digest text not null,
    rows bigint not null,
    columns integer not null,
    bytes bigint not null,
    schema text not null,
    at_us bigint not null,
    primary key (run_id, node, name)
);
create index snapshots_by_digest on snapshots (digest, at_us);
create index snapshots_by_time on snapshots (at_us);

-- Which content was made from which.
create table snapshot_parents (
    digest text not null,
    parent text not null,
    primary key (digest, parent)
);
create index snapshot_parents_by_parent on snapshot_parents (parent, digest);
