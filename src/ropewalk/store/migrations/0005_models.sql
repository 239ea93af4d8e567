-- Every version of every model: a name, a number that grows by one, and the manifest that names its bytes.
create table model_versions (
    name text not null,
    version integer not null,
    manifest text not null,
    run_id text not null,
    author text not null,
    created_us bigint not null,
    primary key (name, version),
    unique (name, run_id)
);
create index model_versions_by_manifest on model_versions (manifest);

-- Where each alias has ever pointed; the row with the highest seq holds. Version 0 means that it was taken away.
create table model_aliases (
    name text not null,
    alias text not null,
    seq integer not null,
    version integer not null,
    actor text not null,
    at_us bigint not null,
    primary key (name, alias, seq)
);
