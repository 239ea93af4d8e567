-- The projects behind one door: the server's own is `default`, the others lie in folders of their own. A name is free
-- again once its workspace was deleted; usage and folders go by the id.
create table workspaces (
    id text primary key,
    name text not null,
    description text not null,
    state text not null,
    folder text not null,
    own integer not null,
    created_us bigint not null,
    changed_us bigint not null,
    bytes_max bigint not null,
    runs_max bigint not null,
    points_max bigint not null,
    requests_max bigint not null,
    tokens_max bigint not null
);
create unique index workspaces_by_name on workspaces (name) where state <> 'deleted';
insert into workspaces
(id, name, description, state, folder, own, created_us, changed_us, bytes_max, runs_max, points_max, requests_max, tokens_max)
values ('default', 'default', '', 'open', '', 1, 0, 0, 0, 0, 0, 0, 0);

-- What each was used for, by user and day (days since 1970-01-01, UTC).
create table workspace_usage (
    workspace text not null references workspaces (id),
    user_name text not null,
    day bigint not null,
    requests bigint not null,
    refused bigint not null,
    bytes_in bigint not null,
    bytes_out bigint not null,
    busy_us bigint not null,
    runs bigint not null,
    primary key (workspace, user_name, day)
) without rowid;

-- What each held when it was last looked at on a day.
create table workspace_levels (
    workspace text not null references workspaces (id),
    day bigint not null,
    bytes bigint not null,
    runs bigint not null,
    points bigint not null,
    at_us bigint not null,
    primary key (workspace, day)
) without rowid;
