-- A step that is called for each item of a list: one row however many there are. `base` is all but the items.
create table step_maps (
    run_id text not null,
    node text not null,
    base text not null,
    items text not null,
    total integer not null,
    done text not null,
    parts text not null,
    fence bigint not null,
    at_us bigint not null,
    primary key (run_id, node)
);
create index step_maps_by_base on step_maps (base, at_us);

-- What a step printed, bounded: short texts as they are, others by digest.
create table step_logs (
    run_id text not null,
    node text not null,
    content text not null,
    bytes bigint not null,
    primary key (run_id, node)
);
