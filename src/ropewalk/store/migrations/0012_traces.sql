-- What an application did for one request: one row a trace, its spans beside it.
create table traces (
    number integer primary key,
    id text not null unique,
    experiment bigint not null,
    start_ms bigint not null,
    duration_ms bigint,
    state text not null,
    client_request text,
    name text,
    session text,
    request_preview text,
    response_preview text,
    finalized integer not null,
    usage text,
    cost text,
    input_tokens bigint,
    output_tokens bigint,
    total_tokens bigint,
    cache_read_tokens bigint,
    cache_write_tokens bigint,
    input_cost double precision,
    output_cost double precision,
    total_cost double precision
);
create index traces_by_start on traces (experiment, start_ms desc, id);
create index traces_by_state on traces (experiment, state, start_ms desc, id);
create index traces_by_duration on traces (experiment, duration_ms, start_ms desc, id);
create index traces_by_name on traces (substr(name, 1, 100), experiment);
create index traces_by_session on traces (session, experiment);
create index traces_by_client_request on traces (substr(client_request, 1, 100));

-- Tags and metadata of a trace. Long values are indexed by their beginning alone.
create table trace_values (
    trace bigint not null references traces (number) on delete cascade,
    kind text not null,
    key text not null,
    value text not null,
    primary key (trace, kind, key)
) without rowid;
create index trace_values_by_value on trace_values (kind, key, substr(value, 1, 100), trace);

-- Steps of a trace; what is searched and summed stands in columns of its own, the whole in `content`.
create table spans (
    trace bigint not null references traces (number) on delete cascade,
    id text not null,
    parent text,
    name text not null,
    type text,
    status text not null,
    start_ns bigint not null,
    end_ns bigint,
    model text,
    provider text,
    input_cost double precision,
    output_cost double precision,
    total_cost double precision,
    usage text,
    cost text,
    bytes bigint not null,
    content text not null,
    primary key (trace, id)
);

-- Which runs a trace belongs to besides the one it was made in, and which prompts it used.
create table trace_links (
    trace bigint not null references traces (number) on delete cascade,
    kind text not null,
    target text not null,
    primary key (trace, kind, target)
) without rowid;
create index trace_links_by_target on trace_links (kind, target, trace);

-- What people, judges and code think of a trace.
create table assessments (
    number integer primary key,
    id text not null unique,
    trace bigint not null references traces (number) on delete cascade,
    kind text not null,
    name text not null,
    value text,
    error text,
    rationale text,
    span text,
    source_type text not null,
    source_id text,
    overrides text,
    valid integer not null,
    metadata text,
    session_scoped integer not null,
    aggregate double precision,
    is_numeric integer not null,
    created_ms bigint not null,
    updated_ms bigint not null
);
create index assessments_by_trace on assessments (trace, number);
create index assessments_by_name on assessments (kind, name, trace);

-- Questions with what is expected of the answers, by which applications are evaluated.
create table evaluation_datasets (
    id text primary key,
    name text not null,
    schema text,
    profile text,
    digest text not null,
    created_ms bigint not null,
    updated_ms bigint not null,
    created_by text,
    updated_by text
);
create index evaluation_datasets_by_time on evaluation_datasets (created_ms, id);
create index evaluation_datasets_by_name on evaluation_datasets (name, id);
create table evaluation_tags (
    dataset text not null references evaluation_datasets (id) on delete cascade,
    key text not null,
    value text not null,
    primary key (dataset, key)
) without rowid;
create table evaluation_experiments (
    dataset text not null references evaluation_datasets (id) on delete cascade,
    experiment bigint not null,
    primary key (dataset, experiment)
) without rowid;
create index evaluation_experiments_by_experiment on evaluation_experiments (experiment, dataset);
create table evaluation_records (
    number integer primary key,
    id text not null unique,
    dataset text not null references evaluation_datasets (id) on delete cascade,
    input_hash text not null,
    inputs text not null,
    outputs text,
    expectations text,
    tags text,
    source text,
    source_id text,
    source_type text,
    created_ms bigint not null,
    updated_ms bigint not null,
    created_by text,
    updated_by text,
    unique (dataset, input_hash)
);
create index evaluation_records_by_dataset on evaluation_records (dataset, number);
