-- Which bytes lie at which path. One tree for all of them: what a run, a model or a trace keeps lies below its location.
create table artifacts (
    folder text not null,
    name text not null,
    digest text not null,
    bytes bigint not null,
    media text not null,
    at_us bigint not null,
    primary key (folder, name)
) without rowid;
create index artifacts_by_digest on artifacts (digest);
-- Which folders there are: each has something in it, and stands in the folder above it.
create table artifact_folders (
    folder text not null,
    name text not null,
    primary key (folder, name)
) without rowid;

-- Files that come in parts, until a day after they began; `digest` is empty until all parts were put together.
create table artifact_uploads (
    id text primary key,
    path text not null,
    parts integer not null,
    digest text not null,
    at_us bigint not null
);
create index artifact_uploads_by_time on artifact_uploads (at_us);
create table artifact_parts (
    upload text not null references artifact_uploads (id),
    part integer not null,
    digest text not null,
    bytes bigint not null,
    primary key (upload, part)
) without rowid;
create index artifact_parts_by_digest on artifact_parts (digest);

-- Blobs that are being removed, or were: who put the same bytes before that looks again whether they are there.
create table artifact_sweeps (
    digest text primary key,
    at_us bigint not null,
    done integer not null
);
