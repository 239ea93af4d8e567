-- Registered models: names, and what people say of them. A deleted one keeps its row and its versions, so that what the
-- ledger says of them can still be checked; its name is free again.
create table registered_models (
    id integer primary key,
    name text not null,
    author text not null,
    description text not null,
    created_us bigint not null,
    updated_us bigint not null,
    deleted_us bigint
);
create unique index registered_models_by_name on registered_models (name) where deleted_us is null;
create table registered_model_tags (
    model bigint not null references registered_models (id),
    key text not null,
    value text not null,
    primary key (model, key)
);
create index registered_model_tags_by_key on registered_model_tags (key, model);

-- Every version of every model: a number that grows by one, and the manifest that names its bytes. What an MLflow client
-- registered has a source and no manifest; what a deleted version was stays known.
create table model_versions (
    model bigint not null references registered_models (id),
    version integer not null,
    registered_as text not null,
    manifest text not null,
    run_id text not null,
    author text not null,
    source text not null,
    storage text not null,
    run_link text not null,
    logged_model text not null,
    stage text not null,
    status text not null,
    status_message text not null,
    description text not null,
    created_us bigint not null,
    updated_us bigint not null,
    deleted_us bigint,
    primary key (model, version)
);
create index model_versions_by_manifest on model_versions (manifest);
create index model_versions_by_run on model_versions (run_id);
create index model_versions_by_update on model_versions (updated_us);
create index model_versions_by_stage on model_versions (model, stage, version);
create table model_version_tags (
    model bigint not null,
    version integer not null,
    key text not null,
    value text not null,
    primary key (model, version, key),
    foreign key (model, version) references model_versions (model, version)
);
create index model_version_tags_by_key on model_version_tags (key, model, version);

-- Where each alias has ever pointed; the row with the highest seq holds. Version 0 means that it was taken away.
create table model_aliases (
    model bigint not null references registered_models (id),
    alias text not null,
    seq integer not null,
    version integer not null,
    actor text not null,
    at_us bigint not null,
    primary key (model, alias, seq)
);
