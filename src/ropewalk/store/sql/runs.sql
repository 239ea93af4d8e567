-- name: insert
insert into runs (id, experiment, name, kind, state, pipeline, args, code, commit_sha, branch, author, dirty,
    environment, started_us, ended_us, error, parent, host, boot, pid, born, expires_us, fence)
values (:id, :experiment, :name, :kind, :state, :pipeline, :args, :code, :commit_sha, :branch, :author, :dirty,
    :environment, :started_us, :ended_us, :error, :parent, :host, :boot, :pid, :born, :expires_us, :fence);
-- name: get
select * from runs where id = :id;
-- name: by_prefix
select * from runs where id >= :low and id < :high order by id limit 2;
-- name: by_name
select * from runs where name = :name order by started_us desc, id desc limit 2;
-- name: count_of_pipeline
select count(*) as runs from runs where pipeline = :pipeline and experiment = :experiment;
-- name: of_state
select * from runs where state = :state order by started_us, id;
-- name: of_command
select * from runs where pipeline = :pipeline and args = :args and code = :code and state = :state
order by started_us desc, id desc;
-- name: move
update runs set state = :state, ended_us = :ended_us, error = :error where id = :id and fence = :fence and state = :from_state;
-- name: renew
update runs set expires_us = :expires_us
where id = :id and fence = :fence and host = :host and pid = :pid and born = :born and state = 'running';
-- name: resume
update runs set state = 'running', ended_us = null, error = '', host = :host, boot = :boot, pid = :pid, born = :born,
    expires_us = :expires_us, fence = fence + 1
where id = :id and fence = :fence;
-- name: part
insert into run_parts (run_id, node, part, at_us) values (:run_id, :node, :part, :at_us)
on conflict (run_id, node, part) do nothing;
-- name: metric
insert into run_metrics (run_id, node, key, step, at_us, value, is_nan)
values (:run_id, :node, :key, :step, :at_us, :value, :is_nan);
-- name: latest
insert into run_latest (run_id, node, key, step, at_us, value, is_nan)
values (:run_id, :node, :key, :step, :at_us, :value, :is_nan)
on conflict (run_id, key, node) do update set
    step = excluded.step, at_us = excluded.at_us, value = excluded.value, is_nan = excluded.is_nan
where excluded.step > run_latest.step or (excluded.step = run_latest.step and excluded.at_us >= run_latest.at_us);
-- name: value_once
insert into run_values (run_id, kind, key, node, value, at_us)
values (:run_id, :kind, :key, :node, :value, :at_us)
on conflict (run_id, kind, key, node) do nothing;
-- name: value_set
insert into run_values (run_id, kind, key, node, value, at_us)
values (:run_id, :kind, :key, :node, :value, :at_us)
on conflict (run_id, kind, key, node) do update set value = excluded.value, at_us = excluded.at_us;
-- name: value_of
select value from run_values where run_id = :run_id and kind = :kind and key = :key and node = :node;
-- name: values_of_kind
select node, kind, key, value, at_us from run_values where run_id = :run_id and kind = :kind order by key, node;
-- name: metrics
select node, key, step, at_us, value, is_nan from run_latest where run_id = :run_id order by key, node;
-- name: history
select node, key, step, at_us, value, is_nan from run_metrics where run_id = :run_id and key = :key
order by step, at_us, node;
-- name: before
select * from runs where id < :before order by id desc limit :count;
-- name: with_metric
select distinct run_id from run_latest where key = :key and is_nan = 0 and value >= :low and value <= :high;
-- name: with_any_metric
select distinct run_id from run_latest where key = :key;
-- name: with_value
select distinct run_id from run_values where kind = :kind and key = :key and value = :value;
-- name: with_any_value
select run_id, value from run_values where kind = :kind and key = :key;
