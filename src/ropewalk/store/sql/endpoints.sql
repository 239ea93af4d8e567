-- name: segment_insert
insert into segments (digest, endpoint, path, rows, bytes, first_id, last_id, first_us, last_us,
    event_first_us, event_last_us, sealed_us)
values (:digest, :endpoint, :path, :rows, :bytes, :first_id, :last_id, :first_us, :last_us,
    :event_first_us, :event_last_us, :sealed_us)
on conflict (path) do nothing;
-- name: segments
select digest, endpoint, path, rows, bytes, first_id, last_id, first_us, last_us, event_first_us, event_last_us, sealed_us
from segments
where endpoint = :endpoint and last_us >= :since_us and first_us < :until_us
    and event_last_us >= :event_since_us and event_first_us < :event_until_us
order by first_us, path;
-- name: segments_with
select digest, endpoint, path, rows, bytes, first_id, last_id, first_us, last_us, event_first_us, event_last_us, sealed_us
from segments where first_id <= :id and last_id >= :id order by first_us, path;
-- name: all_segments
select digest, endpoint, path, rows, bytes, first_id, last_id, first_us, last_us, event_first_us, event_last_us, sealed_us
from segments order by endpoint, first_us, path;
-- name: sealed
select count(*) from segments where path = :path;
-- name: unreleased
select distinct endpoint from segments where endpoint like '%.unreleased' order by endpoint;
