-- Data sets that runs say they have read, one row for each name and digest in an experiment.
create table datasets (
    id integer primary key,
    experiment bigint not null references experiments (id),
    name text not null,
    digest text not null,
    source_type text not null,
    source text not null,
    schema text,
    profile text,
    unique (experiment, name, digest)
);
create index datasets_by_name on datasets (name, digest);
create table run_inputs (
    run bigint not null references runs (number),
    dataset bigint not null references datasets (id),
    primary key (run, dataset)
) without rowid;
create index run_inputs_by_dataset on run_inputs (dataset, run);
create table run_input_tags (
    run bigint not null,
    dataset bigint not null,
    key text not null,
    value text not null,
    primary key (run, dataset, key),
    foreign key (run, dataset) references run_inputs (run, dataset)
) without rowid;

-- Logged models that a run has read (`input`) or made (`output`).
create table run_models (
    run bigint not null references runs (number),
    way text not null,
    model text not null,
    step bigint not null,
    primary key (run, way, model, step)
) without rowid;
create index run_models_by_model on run_models (model, way, run);
