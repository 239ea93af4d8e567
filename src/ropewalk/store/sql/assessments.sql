-- name: get
select a.id, a.kind, a.name, a.value, a.error, a.rationale, a.span, a.source_type, a.source_id, a.overrides, a.valid,
    a.metadata, a.created_ms, a.updated_ms
from assessments a where a.trace = :trace and a.id = :id;
-- name: insert
insert into assessments (id, trace, kind, name, value, error, rationale, span, source_type, source_id, overrides, valid,
    metadata, session_scoped, aggregate, is_numeric, created_ms, updated_ms)
values (:id, :trace, :kind, :name, :value, :error, :rationale, :span, :source_type, :source_id, :overrides, :valid,
    :metadata, :session_scoped, :aggregate, :is_numeric, :created_ms, :updated_ms)
on conflict (id) do nothing;
-- name: update
update assessments set name = :name, value = :value, error = :error, rationale = :rationale, valid = :valid,
    metadata = :metadata, session_scoped = :session_scoped, aggregate = :aggregate, is_numeric = :is_numeric,
    updated_ms = :updated_ms
where trace = :trace and id = :id;
-- name: judge
update assessments set valid = :valid where trace = :trace and id = :id;
-- name: delete
delete from assessments where trace = :trace and id = :id;
-- name: count
select count(*) as number from assessments where trace = :trace;
