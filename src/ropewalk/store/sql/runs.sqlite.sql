-- name: series_of
select json_group_object(key, id) from series
where run = :run and node = :node and key in (select value from json_each(:keys));
-- name: to_log_many
select r.number, r.id, r.experiment, r.kind, r.state, r.started_us, r.expires_us, r.heartbeat_seconds, r.deleted_us,
    r.reopened_us, (
        select json_group_object(s.key, s.id) from series s
        where s.run = r.number and s.node = '' and s.key in (select value from json_each(:keys))
    ) as series
from runs r where r.id = :id;
