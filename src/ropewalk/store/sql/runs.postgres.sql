-- name: series_of
select coalesce(json_object_agg(key, id), '{}')::text from series
where run = :run and node = :node and key in (select json_array_elements_text(cast(:keys as json)));
-- name: to_log_many
select r.number, r.id, r.experiment, r.kind, r.state, r.started_us, r.expires_us, r.heartbeat_seconds, r.deleted_us,
    r.reopened_us, (
        select coalesce(json_object_agg(s.key, s.id), '{}')::text from series s
        where s.run = r.number and s.node = '' and s.key in (select json_array_elements_text(cast(:keys as json)))
    ) as series
from runs r where r.id = :id;
