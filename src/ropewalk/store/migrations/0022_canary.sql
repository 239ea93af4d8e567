-- What was to be expected of a canary when it began: digest of a blob.
alter table rollouts add column design text not null default '';

-- A number that a client reports of a prediction, such as the revenue that came of it. Later ones revise earlier ones.
create table reports (
    endpoint text not null,
    metric text not null,
    prediction text not null,
    value double precision not null,
    known_us integer not null,
    at_us integer not null,
    batch integer not null,
    primary key (endpoint, metric, prediction, known_us, batch)
);
create index reports_by_time on reports (endpoint, metric, at_us);
create index reports_by_batch on reports (batch);

-- What a segment of captured predictions holds for one canary: digest of a blob that is made again when it is lost.
create table segment_tallies (
    release text not null references rollouts (release),
    segment text not null,
    kind text not null,
    tally text not null,
    primary key (release, segment)
);
