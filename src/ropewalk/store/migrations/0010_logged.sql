-- Logged models: what a training wrote down as a model, before anybody registers it.
create table logged_models (
    number integer primary key,
    id text not null unique,
    experiment bigint not null,
    name text not null,
    location text not null,
    model_type text not null,
    source_run text not null,
    status text not null,
    status_message text not null,
    author text not null,
    created_us bigint not null,
    updated_us bigint not null,
    deleted_us bigint
);
create index logged_models_by_experiment on logged_models (experiment, created_us);
create index logged_models_by_run on logged_models (source_run);

-- Parameters stay as they were written; tags may change.
create table logged_model_params (
    model bigint not null references logged_models (number),
    key text not null,
    value text not null,
    primary key (model, key)
);
create index logged_model_params_by_key on logged_model_params (key, model);
create table logged_model_tags (
    model bigint not null references logged_models (number),
    key text not null,
    value text not null,
    primary key (model, key)
);
create index logged_model_tags_by_key on logged_model_tags (key, model);

-- What runs measured of a model, on which data; the key says that the same point is written once.
create table logged_model_metrics (
    model bigint not null references logged_models (number),
    key text not null,
    at_ms bigint not null,
    step bigint not null,
    run_id text not null,
    dataset_name text not null,
    dataset_digest text not null,
    value double precision not null,
    is_nan integer not null,
    primary key (model, key, at_ms, step, run_id, dataset_name, dataset_digest, value, is_nan)
);
create index logged_model_metrics_by_value on logged_model_metrics (key, value, model);
