-- name: insert
insert into runs (id, experiment, name, kind, state, pipeline, args, code, commit_sha, branch, author, dirty,
    environment, started_us, ended_us, error, parent, host, boot, pid, born, expires_us, fence, user_name, source_name,
    source_type, location, heartbeat_seconds, deleted_us, reopened_us)
values (:id, :experiment, :name, :kind, :state, :pipeline, :args, :code, :commit_sha, :branch, :author, :dirty,
    :environment, :started_us, :ended_us, :error, :parent, :host, :boot, :pid, :born, :expires_us, :fence, :user_name,
    :source_name, :source_type, :location, :heartbeat_seconds, :deleted_us, :reopened_us)
returning number;
-- name: get
select * from runs where id = :id;
-- name: by_prefix
select * from runs where id >= :low and id < :high order by id limit 2;
-- name: by_name
select * from runs where name = :name order by started_us desc, id desc limit 2;
-- name: count_of_pipeline
select count(*) as runs from runs where pipeline = :pipeline and experiment = :experiment;
-- name: of_state
select * from runs where state = :state and (kind <> 'remote' or heartbeat_seconds > 0) order by started_us, id;
-- name: of_command
select * from runs where pipeline = :pipeline and args = :args and code = :code and state = :state
order by started_us desc, id desc;
-- name: move
update runs set state = :state, ended_us = :ended_us, error = :error, reopened_us = null
where id = :id and fence = :fence and state = :from_state;
-- name: renew
update runs set expires_us = :expires_us
where id = :id and fence = :fence and host = :host and pid = :pid and born = :born and state = 'running';
-- name: resume
update runs set state = 'running', ended_us = null, error = '', host = :host, boot = :boot, pid = :pid, born = :born,
    expires_us = :expires_us, fence = fence + 1, reopened_us = null
where id = :id and fence = :fence;
-- name: update
update runs set name = :name, state = :state, ended_us = :ended_us, error = :error, reopened_us = :reopened_us,
    heartbeat_seconds = :heartbeat_seconds
where number = :number;
-- name: beat
update runs set expires_us = :expires_us where number = :number;
-- name: reopen
update runs set reopened_us = :at_us where number = :number;
-- name: noted
update runs set reopened_us = null where number = :number;
-- name: reopened
select id, number from runs where reopened_us is not null and reopened_us <= :before_us order by reopened_us limit :count;
-- name: nest
update runs set parent = :parent where number = :number;
-- name: hide
update runs set deleted_us = :deleted_us where number = :number;
-- name: to_log
select r.number, r.id, r.experiment, r.kind, r.state, r.started_us, r.expires_us, r.heartbeat_seconds, r.deleted_us,
    r.reopened_us, s.id as series
from runs r left join series s on s.run = r.number and s.key = :key and s.node = '' where r.id = :id;
-- name: part
insert into run_parts (run_id, node, part, at_us) values (:run_id, :node, :part, :at_us)
on conflict (run_id, node, part) do nothing;
-- name: series
select id from series where run = :run and key = :key and node = :node;
-- name: series_insert
insert into series (run, key, node) values (:run, :key, :node) returning id;
-- name: point
insert into points (series, at_ms, step, value, is_nan) values (:series, :at_ms, :step, :value, :is_nan)
on conflict (series, at_ms, step, value, is_nan) do nothing;
-- name: latest
insert into latest (run, key, node, experiment, started_us, step, at_ms, value, is_nan)
values (:run, :key, :node, :experiment, :started_us, :step, :at_ms, :value, :is_nan)
on conflict (run, key, node) do update set
    step = excluded.step, at_ms = excluded.at_ms, value = excluded.value, is_nan = excluded.is_nan
where (excluded.step, excluded.at_ms, excluded.value) > (latest.step, latest.at_ms, latest.value);
-- name: param
insert into run_params (run, key, node, value, experiment, started_us)
values (:run, :key, :node, :value, :experiment, :started_us)
on conflict (run, key, node) do nothing;
-- name: param_of
select value from run_params where run = :run and key = :key and node = :node;
-- name: tag
insert into run_tags (run, key, node, value, experiment, started_us)
values (:run, :key, :node, :value, :experiment, :started_us)
on conflict (run, key, node) do update set value = excluded.value;
-- name: tag_of
select value from run_tags where run = :run and key = :key and node = '';
-- name: untag
delete from run_tags where run = :run and key = :key;
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
select node, key, value, at_us from run_values where run_id = :run_id and kind = :kind order by key, node;
-- name: params
select key, node, value from run_params
where run = (select number from runs where id = :run_id) order by key, node;
-- name: tags
select key, node, value from run_tags
where run = (select number from runs where id = :run_id) order by key, node;
-- name: metrics
select key, node, step, at_ms, value, is_nan from latest
where run = (select number from runs where id = :run_id) order by key, node;
-- name: history
select s.key, s.node, p.step, p.at_ms, p.value, p.is_nan
from runs r join series s on s.run = r.number join points p on p.series = s.id
where r.id = :run_id and s.key = :key
order by p.step, p.at_ms, s.node, p.value;
-- name: record_params
select key, node, value from run_params where run = :run order by key, node;
-- name: record_latest
select key, node, step, at_ms, value, is_nan from latest where run = :run order by key, node;
-- name: record_counts
select s.key, s.node, count(p.series) as points
from series s left join points p on p.series = s.id where s.run = :run group by s.key, s.node order by s.key, s.node;
