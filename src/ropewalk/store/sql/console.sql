-- name: captured
select coalesce(sum(rows), 0) as rows, coalesce(min(first_us), 0) as first_us from segments where endpoint = :endpoint;
-- name: releases_of
select id, state from releases where model = :model and version = :version order by created_us desc, id desc limit :count;
-- name: experiments
select e.id, e.name,
    (select count(*) from runs r where r.experiment = e.id and r.deleted_us is null) as active,
    (select count(*) from runs r where r.experiment = e.id) as whole
from experiments e
where (e.state = 'active' or :state <> 'active') and lower(e.name) like :pattern escape '\'
order by e.updated_us desc, e.id desc limit :count;
-- name: runs_active
select count(*) as runs from runs where deleted_us is null;
-- name: runs_whole
select count(*) as runs from runs;
-- name: metric_keys
with recursive found(key) as (
    select min(first.key) from latest first where first.experiment = :experiment and first.node = ''
    union all
    select (select min(other.key) from latest other
        where other.experiment = :experiment and other.node = '' and other.key > found.key)
    from found where found.key is not null)
select key from found where key is not null limit :count;
-- name: param_keys
with recursive found(key) as (
    select min(first.key) from run_params first where first.experiment = :experiment and first.node = ''
    union all
    select (select min(other.key) from run_params other
        where other.experiment = :experiment and other.node = '' and other.key > found.key)
    from found where found.key is not null)
select key from found where key is not null limit :count;
-- name: tag_keys
with recursive found(key) as (
    select min(first.key) from run_tags first where first.experiment = :experiment and first.node = ''
    union all
    select (select min(other.key) from run_tags other
        where other.experiment = :experiment and other.node = '' and other.key > found.key)
    from found where found.key is not null)
select key from found where key is not null limit :count;
-- name: children
select r.id, r.name, r.state from run_tags t join runs r on r.number = t.run
where t.experiment = :experiment and t.key = 'mlflow.parentRunId' and substr(t.value, 1, 160) = :parent and t.node = ''
    and r.deleted_us is null
order by t.started_us limit :count;
-- name: native_children
select r.id, r.name, r.state from runs r
where r.experiment = :experiment and r.started_us >= :from_us and r.parent = :parent and r.deleted_us is null
order by r.started_us limit :count;
-- name: names_of_runs
select id, name from runs where id = :id;
-- name: some_metrics
select key, step, value, is_nan from latest where run = :run and node = '' order by key limit :count;
-- name: some_params
select key, value from run_params where run = :run and node = '' order by key limit :count;
-- name: metrics
select l.key, l.step, l.at_ms, l.value, l.is_nan,
    (select count(*) from (select p.step from series s join points p on p.series = s.id
        where s.run = l.run and s.key = l.key limit 2) few) as points
from latest l
where l.run = :run and l.node = '' and l.key not like 'system/%' and lower(l.key) like :pattern escape '\'
order by l.key limit :count;
-- name: system_metrics
select l.key, l.step, l.at_ms, l.value, l.is_nan,
    (select count(*) from (select p.step from series s join points p on p.series = s.id
        where s.run = l.run and s.key = l.key limit 2) few) as points
from latest l
where l.run = :run and l.node = '' and l.key like 'system/%' and lower(l.key) like :pattern escape '\'
order by l.key limit :count;
-- name: metrics_like
select count(*) as metrics from latest where run = :run and node = '' and lower(key) like :pattern escape '\';
-- name: figures
select count(*) as points, min(p.step) as first_step, max(p.step) as last_step,
    min(case when p.is_nan = 0 then p.value end) as low, max(case when p.is_nan = 0 then p.value end) as high
from series s join points p on p.series = s.id where s.run = :run and s.key = :key;
-- name: newest_points
select p.step, p.at_ms, p.value, p.is_nan from series s join points p on p.series = s.id
where s.run = :run and s.key = :key order by p.step desc, p.at_ms desc limit :count;
-- name: inputs
select d.id as dataset, d.name, d.digest, d.source_type, d.source, d.schema, d.profile
from run_inputs i join datasets d on d.id = i.dataset where i.run = :run order by d.name, d.id limit 200;
-- name: input_tags
select dataset, key, value from run_input_tags where run = :run;
-- name: run_models
select way, model from run_models where run = :run order by way desc, step, model limit 50;
-- name: with_traces
select e.id from experiments e where e.state = 'active' and exists (select 1 from traces t where t.experiment = e.id)
order by e.updated_us desc, e.id desc limit 1000;
-- name: versions_of_logged
select m.name, v.version from model_versions v join registered_models m on m.id = v.model
where v.logged_model = :logged_model and v.deleted_us is null and m.deleted_us is null order by m.name, v.version limit 50;
-- name: points
select count(*) as points from series s join points p on p.series = s.id where s.run = :run and s.key = :key;
-- name: runs_of
select count(*) as runs from runs where experiment = :experiment and deleted_us is null;
-- name: state_of_run
select state from runs where id = :id;
-- name: versions_of_run
select count(*) as versions from model_versions v join registered_models m on m.id = v.model
where v.run_id = :run and v.deleted_us is null and m.deleted_us is null;
-- name: versions_of_model
select count(*) as versions from model_versions where model = :model and deleted_us is null;
-- name: model_names
select m.name from registered_models m where m.deleted_us is null and not exists (select 1 from registered_model_tags t
    where t.model = m.id and t.key = 'mlflow.prompt.is_prompt' and lower(t.value) = 'true')
order by m.updated_us desc limit :count;
