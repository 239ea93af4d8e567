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
select (select count(*) from segments where path = :path) + (select count(*) from segment_leavings where path = :path);
-- name: captured_endpoints
select distinct endpoint from segments order by endpoint;
-- name: segment_delete
delete from segments where digest = :digest and path = :path;
-- name: leaving_insert
insert into segment_leavings (path, endpoint, at_us) values (:path, :endpoint, :at_us) on conflict (path) do nothing;
-- name: leavings
select path, endpoint, at_us from segment_leavings order by at_us, path;
-- name: leaving_delete
delete from segment_leavings where path = :path;
-- name: segments_small
select digest, endpoint, path, rows, bytes, first_id, last_id, first_us, last_us, event_first_us, event_last_us, sealed_us
from segments where endpoint = :endpoint and bytes < :bytes and rows < :rows and sealed_us <= :sealed_us
order by first_us, path;
-- name: segments_old
select digest, endpoint, path, rows, bytes, first_id, last_id, first_us, last_us, event_first_us, event_last_us, sealed_us
from segments where last_us < :before_us order by last_us, path limit :count;
-- name: unreleased
select distinct endpoint from segments where endpoint like '%.unreleased' order by endpoint;
