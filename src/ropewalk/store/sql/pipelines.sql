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
