-- name: outcome
select key, step, code, inputs, value, digest, entries, frames, run_id, node, at_us from outcomes where key = :key;
-- name: keep_outcome
insert into outcomes (key, step, code, inputs, value, digest, entries, frames, run_id, node, at_us)
values (:key, :step, :code, :inputs, :value, :digest, :entries, :frames, :run_id, :node, :at_us)
on conflict (key) do nothing;
-- name: outcomes
select key, step, code, inputs, value, digest, entries, frames, run_id, node, at_us from outcomes order by at_us, key;
-- name: keep_code
insert into step_codes (digest, parts) values (:digest, :parts) on conflict (digest) do nothing;
-- name: code
select parts from step_codes where digest = :digest;
-- name: keep_step
insert into steps
(run_id, node, position, pipeline, step, state, attempt, key, code, inputs, reason, error, fence, started_us, ended_us)
values (:run_id, :node, :position, :pipeline, :step, :state, :attempt, :key, :code, :inputs, :reason, :error, :fence,
    :started_us, :ended_us)
on conflict (run_id, node) do update set
    state = excluded.state, attempt = excluded.attempt, key = excluded.key, code = excluded.code,
    inputs = excluded.inputs, reason = excluded.reason, error = excluded.error, fence = excluded.fence,
    started_us = excluded.started_us, ended_us = excluded.ended_us
where steps.fence <= excluded.fence and steps.state not in ('done', 'cached');
-- name: step
select run_id, node, position, pipeline, step, state, attempt, key, code, inputs, reason, error, fence, started_us,
    ended_us
from steps where run_id = :run_id and node = :node;
-- name: steps_of_run
select run_id, node, position, pipeline, step, state, attempt, key, code, inputs, reason, error, fence, started_us,
    ended_us
from steps where run_id = :run_id order by position, node;
-- name: states_of_run
select node, state, key, position from steps where run_id = :run_id and node > :node order by node limit :count;
-- name: counts_of_run
select state, count(*) as count from steps where run_id = :run_id group by state;
-- name: last_of_node
select run_id, node, position, pipeline, step, state, attempt, key, code, inputs, reason, error, fence, started_us,
    ended_us
from steps where pipeline = :pipeline and node = :node and state in ('done', 'cached') and run_id <> :run_id
order by started_us desc, run_id desc limit 1;
-- name: newest_of_step
select run_id, node, position, pipeline, step, state, attempt, key, code, inputs, reason, error, fence, started_us,
    ended_us
from steps where node = :name or substr(step, length(step) - length(:suffix) + 1) = :suffix
order by case when node = :name then 0 else 1 end, started_us desc, position limit 1;
-- name: end_left
update steps set state = 'interrupted' where run_id = :run_id and state in ('running', 'waiting');
-- name: keep_graph
insert into run_graphs (run_id, graph) values (:run_id, :graph) on conflict (run_id) do nothing;
-- name: runs_of_graph
select run_id from run_graphs where graph = :graph order by run_id desc limit 10;
-- name: keep_map
insert into step_maps (run_id, node, base, items, total, done, parts, fence, at_us)
values (:run_id, :node, :base, :items, :total, :done, :parts, :fence, :at_us)
on conflict (run_id, node) do update set
    base = excluded.base, items = excluded.items, total = excluded.total, done = excluded.done, parts = excluded.parts,
    fence = excluded.fence, at_us = excluded.at_us
where step_maps.fence <= excluded.fence;
-- name: maps_of_base
select run_id, node, base, items, total, done, parts, fence, at_us from step_maps where base = :base
order by at_us desc, run_id desc, node limit 3;
-- name: maps_of_run
select run_id, node, base, items, total, done, parts, fence, at_us from step_maps where run_id = :run_id order by node;
-- name: keep_log
insert into step_logs (run_id, node, content, bytes) values (:run_id, :node, :content, :bytes)
on conflict (run_id, node) do update set content = excluded.content, bytes = excluded.bytes;
-- name: logs_of_run
select node, content, bytes from step_logs where run_id = :run_id order by node;
-- name: log_of_step
select node, content, bytes from step_logs where run_id = :run_id and node = :node;
-- name: map_of_step
select run_id, node, base, items, total, done, parts, fence, at_us from step_maps where run_id = :run_id and node = :node;
-- name: keep_nodes
insert into graph_nodes (run_id, nodes) values (:run_id, :nodes)
on conflict (run_id) do update set nodes = excluded.nodes;
-- name: nodes_of_run
select nodes from graph_nodes where run_id = :run_id;
-- name: keep_attempt
insert into step_attempts (run_id, node, attempt, started_us, ended_us, error)
values (:run_id, :node, :attempt, :started_us, :ended_us, :error)
on conflict (run_id, node, started_us, attempt) do nothing;
-- name: attempts_of_run
select node, attempt, started_us, ended_us, error from step_attempts where run_id = :run_id
order by started_us, node, attempt limit :count;
-- name: attempts_of_step
select node, attempt, started_us, ended_us, error from step_attempts where run_id = :run_id and node = :node
order by started_us desc, attempt desc limit :count;
-- name: node_before
select run_id, node, position, pipeline, step, state, attempt, key, code, inputs, reason, error, fence, started_us,
    ended_us
from steps where pipeline = :pipeline and node = :node and state in ('done', 'cached') and run_id <> :run_id
    and started_us <= :at_us
order by started_us desc, run_id desc limit 1;
-- name: pipelines
with recursive found(pipeline) as (
    select min(first.pipeline) from steps first
    union all
    select (select min(other.pipeline) from steps other where other.pipeline > found.pipeline)
    from found where found.pipeline is not null)
select pipeline from found where pipeline is not null limit :count;
-- name: runs_of_pipeline
select id, name, state, started_us, ended_us from runs
where pipeline = :pipeline and kind = 'pipeline' and deleted_us is null order by started_us desc, id desc limit :count;
-- name: saved_of_run
select count(*) as hits, count(p.run_id) as known, coalesce(sum(p.ended_us - p.started_us), 0) as saved_us from steps s
left join outcomes o on o.key = s.key left join steps p on p.run_id = o.run_id and p.node = o.node and p.state = 'done'
where s.run_id = :run_id and s.state = 'cached';
-- name: worked_of_run
select count(*) as steps, coalesce(sum(ended_us - started_us), 0) as took_us from steps
where run_id = :run_id and state in ('done', 'failed') and ended_us is not null;
-- name: orchestrated
select pipeline, key, run_id, graph, at_us from orchestrated_runs where pipeline = :pipeline and key = :key;
-- name: keep_orchestrated
insert into orchestrated_runs (pipeline, key, run_id, graph, at_us) values (:pipeline, :key, :run_id, :graph, :at_us)
on conflict (pipeline, key) do update set run_id = excluded.run_id, graph = excluded.graph, at_us = excluded.at_us;
-- name: step_lease
select run_id, node, host, boot, pid, born, expires_us, fence, failures from step_leases
where run_id = :run_id and node = :node;
-- name: step_leases_of_run
select run_id, node, host, boot, pid, born, expires_us, fence, failures from step_leases where run_id = :run_id
order by node;
-- name: take_step_lease
insert into step_leases (run_id, node, host, boot, pid, born, expires_us, fence, failures)
values (:run_id, :node, :host, :boot, :pid, :born, :expires_us, :fence, :failures)
on conflict (run_id, node) do update set
    host = excluded.host, boot = excluded.boot, pid = excluded.pid, born = excluded.born,
    expires_us = excluded.expires_us, fence = excluded.fence
where step_leases.fence < excluded.fence;
-- name: drop_step_lease
delete from step_leases where run_id = :run_id and node = :node and fence = :fence;
-- name: renew_step_lease
update step_leases set expires_us = :expires_us where run_id = :run_id and node = :node and fence = :fence;
-- name: end_step_lease
update step_leases set host = '', boot = '', pid = 0, born = 0, expires_us = 0, failures = :failures
where run_id = :run_id and node = :node and fence = :fence;
-- name: end_left_step
update steps set state = 'interrupted' where run_id = :run_id and node = :node and state in ('running', 'waiting');
-- name: finished_of_run
select count(*) as steps from steps where run_id = :run_id and state in ('done', 'cached');
