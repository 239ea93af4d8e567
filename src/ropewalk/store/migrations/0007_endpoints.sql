-- A sealed piece of captured predictions: one Parquet file, named by the journal it was made of.
create table segments (
    digest text primary key,
    endpoint text not null,
    path text not null unique,
    rows integer not null,
    bytes integer not null,
    first_id text not null,
    last_id text not null,
    first_us integer not null,
    last_us integer not null,
    event_first_us integer not null,
    event_last_us integer not null,
    sealed_us integer not null
);
create index segments_by_endpoint on segments (endpoint, first_us);
create index segments_by_id on segments (first_id, last_id);
