-- name: insert
insert into workspaces
(id, name, description, state, folder, own, created_us, changed_us, bytes_max, runs_max, points_max, requests_max, tokens_max)
values (:id, :name, :description, :state, :folder, :own, :created_us, :changed_us, :bytes_max, :runs_max, :points_max,
    :requests_max, :tokens_max);
-- name: listed
select id, name, description, state, folder, own, created_us, changed_us, bytes_max, runs_max, points_max, requests_max,
    tokens_max
from workspaces order by name, created_us, id;
-- name: by_name
select id, name, description, state, folder, own, created_us, changed_us, bytes_max, runs_max, points_max, requests_max,
    tokens_max
from workspaces where name = :name and state <> 'deleted';
-- name: by_id
select id, name, description, state, folder, own, created_us, changed_us, bytes_max, runs_max, points_max, requests_max,
    tokens_max
from workspaces where id = :id;
-- name: deleted
select id, name, description, state, folder, own, created_us, changed_us, bytes_max, runs_max, points_max, requests_max,
    tokens_max
from workspaces where name = :name and state = 'deleted' and folder <> '' order by changed_us desc, id limit 1;
-- name: change
update workspaces set name = :name, description = :description, state = :state, folder = :folder,
    changed_us = :changed_us, bytes_max = :bytes_max, runs_max = :runs_max, points_max = :points_max,
    requests_max = :requests_max, tokens_max = :tokens_max
where id = :id;
-- name: tokens
select count(*) as found from tokens where project = :project and revoked_us is null and expires_us > :now_us;
-- name: roles
select count(*) as found from user_roles where project = :project;
-- name: roles_rename
update user_roles set project = :project where project = :old;
-- name: tokens_rename
update tokens set project = :project where project = :old;
-- name: bytes
select (select coalesce(sum(bytes), 0) from artifacts) + (select coalesce(sum(bytes), 0) from artifact_parts) as found;
-- name: observed
select (select coalesce(sum(bytes), 0) from spans) + (select coalesce(sum(bytes), 0) from segments) as found;
-- name: runs
select count(*) as found from runs where deleted_us is null;
-- name: points
select count(*) as found from points;
-- name: holds
select (select count(*) from experiments where id <> 0) as experiments,
    (select count(*) from runs) as runs,
    (select count(*) from registered_models) as models,
    (select count(*) from logged_models) as logged,
    (select count(*) from traces) as traces,
    (select count(*) from artifacts) as files,
    (select count(*) from releases) as releases,
    (select count(*) from webhooks) as webhooks,
    (select count(*) from evaluation_datasets) as datasets;
-- name: usage_add
insert into workspace_usage (workspace, user_name, day, requests, refused, bytes_in, bytes_out, busy_us, runs)
values (:workspace, :user_name, :day, :requests, :refused, :bytes_in, :bytes_out, :busy_us, :runs)
on conflict (workspace, user_name, day) do update set
    requests = workspace_usage.requests + excluded.requests,
    refused = workspace_usage.refused + excluded.refused,
    bytes_in = workspace_usage.bytes_in + excluded.bytes_in,
    bytes_out = workspace_usage.bytes_out + excluded.bytes_out,
    busy_us = workspace_usage.busy_us + excluded.busy_us,
    runs = workspace_usage.runs + excluded.runs;
-- name: level_set
insert into workspace_levels (workspace, day, bytes, runs, points, at_us)
values (:workspace, :day, :bytes, :runs, :points, :at_us)
on conflict (workspace, day) do update set
    bytes = excluded.bytes, runs = excluded.runs, points = excluded.points, at_us = excluded.at_us;
-- name: usage
select workspace, user_name, day, requests, refused, bytes_in, bytes_out, busy_us, runs
from workspace_usage where (:workspace = '' or workspace = :workspace) and day >= :since
order by day desc, workspace, user_name;
-- name: usage_days
select workspace, day, sum(requests) as requests, sum(refused) as refused, sum(bytes_in) as bytes_in,
    sum(bytes_out) as bytes_out, sum(busy_us) as busy_us, sum(runs) as runs
from workspace_usage where (:workspace = '' or workspace = :workspace) and day >= :since
group by workspace, day order by workspace, day;
-- name: levels
select workspace, day, bytes, runs, points, at_us
from workspace_levels where (:workspace = '' or workspace = :workspace) and day >= :since
order by workspace, day;
-- name: level
select workspace, day, bytes, runs, points, at_us
from workspace_levels where workspace = :workspace order by day desc limit 1;
