-- name: get
select number, id, experiment, start_ms, duration_ms, state, client_request, name, session, request_preview,
    response_preview, finalized, usage, cost
from traces where id = :id;
-- name: insert
insert into traces (id, experiment, start_ms, duration_ms, state, client_request, name, session, request_preview,
    response_preview, finalized, usage, cost, input_tokens, output_tokens, total_tokens, cache_read_tokens,
    cache_write_tokens, input_cost, output_cost, total_cost)
values (:id, :experiment, :start_ms, :duration_ms, :state, :client_request, :name, :session, :request_preview,
    :response_preview, :finalized, :usage, :cost, :input_tokens, :output_tokens, :total_tokens, :cache_read_tokens,
    :cache_write_tokens, :input_cost, :output_cost, :total_cost);
-- name: update
update traces set experiment = :experiment, start_ms = :start_ms, duration_ms = :duration_ms, state = :state,
    client_request = :client_request, name = :name, session = :session, request_preview = :request_preview,
    response_preview = :response_preview, finalized = :finalized
where number = :number;
-- name: set_usage
update traces set usage = :usage, input_tokens = :input_tokens, output_tokens = :output_tokens,
    total_tokens = :total_tokens, cache_read_tokens = :cache_read_tokens, cache_write_tokens = :cache_write_tokens
where number = :number;
-- name: set_cost
update traces set cost = :cost, input_cost = :input_cost, output_cost = :output_cost, total_cost = :total_cost
where number = :number;
-- name: set_name
update traces set name = :name where number = :number;
-- name: set_value
insert into trace_values (trace, kind, key, value) values (:trace, :kind, :key, :value)
on conflict (trace, kind, key) do update set value = excluded.value;
-- name: add_value
insert into trace_values (trace, kind, key, value) values (:trace, :kind, :key, :value)
on conflict (trace, kind, key) do nothing;
-- name: delete_value
delete from trace_values where trace = :trace and kind = :kind and key = :key;
-- name: set_span
insert into spans (trace, id, parent, name, type, status, start_ns, end_ns, model, provider, input_cost, output_cost,
    total_cost, usage, cost, bytes, content)
values (:trace, :id, :parent, :name, :type, :status, :start_ns, :end_ns, :model, :provider, :input_cost, :output_cost,
    :total_cost, :usage, :cost, :bytes, :content)
on conflict (trace, id) do update set parent = excluded.parent, name = excluded.name, type = excluded.type,
    status = excluded.status, start_ns = excluded.start_ns, end_ns = excluded.end_ns, model = excluded.model,
    provider = excluded.provider, input_cost = excluded.input_cost, output_cost = excluded.output_cost,
    total_cost = excluded.total_cost, usage = excluded.usage, cost = excluded.cost, bytes = excluded.bytes,
    content = excluded.content;
-- name: size
select count(*) as spans, coalesce(sum(bytes), 0) as bytes from spans where trace = :trace;
-- name: has_span
select id from spans where trace = :trace and id = :id;
-- name: nodes
select id, parent, usage, cost from spans where trace = :trace;
-- name: contents
select content from spans where trace = :trace
order by case when parent is null then 0 else 1 end, start_ns, id;
-- name: runs_of
select target from trace_links where trace = :trace and kind = 'run' order by target;
-- name: link
insert into trace_links (trace, kind, target) values (:trace, :kind, :target)
on conflict (trace, kind, target) do nothing;
