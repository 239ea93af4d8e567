-- What really happened, told later: by the id of a prediction or by the key of its request. Rows are only added;
-- the one known last is the one that counts.
create table labels (
    endpoint text not null,
    prediction text not null,
    key text not null,
    value text not null,
    known_us integer not null,
    at_us integer not null,
    batch integer not null,
    primary key (endpoint, prediction, key, known_us, batch)
);
create index labels_by_time on labels (endpoint, at_us);
create index labels_by_batch on labels (batch);

-- What a monitor saw in a window of event time; the newest look at it.
create table monitor_windows (
    endpoint text not null,
    monitor text not null,
    release text not null,
    start_us integer not null,
    end_us integer not null,
    count integer not null,
    reading double precision,
    low double precision,
    threshold double precision not null,
    says text not null,
    at_us integer not null,
    primary key (endpoint, monitor, release, start_us)
);
create index monitor_windows_by_time on monitor_windows (endpoint, monitor, start_us);

-- Alarms. At most one is open for a monitor of an endpoint.
create table alerts (
    id text primary key,
    endpoint text not null,
    monitor text not null,
    kind text not null,
    release text not null,
    state text not null,
    retrain integer not null,
    window_us integer not null,
    reading double precision not null,
    threshold double precision not null,
    reason text not null,
    evidence text not null,
    opened_us integer not null,
    closed_us integer,
    closed_why text not null,
    closed_evidence text not null,
    run text not null
);
create unique index alerts_one_open on alerts (endpoint, monitor) where state = 'open';
create index alerts_by_time on alerts (endpoint, opened_us);
