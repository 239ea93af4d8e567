-- name: ids
select id from series where run = (select number from runs where id = :run_id) and key = :key
    and (:node = '' or node = :node) order by id;
-- name: page
select at_ms, step, value, is_nan from points
where series = :series and (at_ms, step, value, is_nan) > (:at_ms, :step, :value, :is_nan)
order by at_ms, step, value, is_nan limit :count;
-- name: page_of_steps
select p.at_ms, p.step, p.value, p.is_nan from points p
where p.series in (select id from series where run = (select number from runs where id = :run_id) and key = :key)
    and (p.at_ms, p.step, p.value, p.is_nan) > (:at_ms, :step, :value, :is_nan)
group by p.at_ms, p.step, p.value, p.is_nan
order by p.at_ms, p.step, p.value, p.is_nan limit :count;
-- name: between
select count(*) as points from series s join points p on p.series = s.id
where s.run = (select number from runs where id = :run_id) and s.key = :key and (:node = '' or s.node = :node)
    and p.step >= :low and p.step <= :high;
-- name: sampled
select t.step, t.at_ms, t.value, t.is_nan from (
    select p.step, p.at_ms, p.value, p.is_nan,
        row_number() over (order by p.step, p.at_ms, p.value, p.is_nan) - 1 as place
    from series s join points p on p.series = s.id
    where s.run = (select number from runs where id = :run_id) and s.key = :key and (:node = '' or s.node = :node)
        and p.step >= :low and p.step <= :high
) t
where t.place = :last or (t.place < :bound and t.place % :wide = 0)
    or (t.place >= :bound and (t.place - :bound) % :narrow = 0)
order by t.place;
-- name: span
select count(*) as points, min(p.step) as first_step, max(p.step) as last_step, min(p.at_ms) as first_ms,
    max(p.at_ms) as last_ms
from series s join points p on p.series = s.id
where s.run = (select number from runs where id = :run_id) and s.key = :key and (:node = '' or s.node = :node);
-- name: buckets_by_step
-- The last point of a bucket has the highest step. Where it has the latest time too, as it has unless a run went back, it
-- is found by the key. Where not, it is missing here.
with b as (
    select q.step / :unit as bucket, count(*) as points,
        min(case when q.is_nan = 0 then q.value end) as low, max(case when q.is_nan = 0 then q.value end) as high,
        max(q.step) as step, max(q.at_ms) as at_ms
    from series t join points q on q.series = t.id
    where t.run = (select number from runs where id = :run_id) and t.key = :key and (:node = '' or t.node = :node)
    group by q.step / :unit
)
select b.bucket, b.points, b.low, b.high, p.step, p.at_ms, p.value, p.is_nan
from b cross join series s left join points p on p.series = s.id and p.at_ms = b.at_ms and p.step = b.step
where s.run = (select number from runs where id = :run_id) and s.key = :key and (:node = '' or s.node = :node)
order by b.bucket, p.value, p.is_nan;
-- name: ends_by_step
select p.step / :unit as bucket, p.step, p.at_ms, p.value, p.is_nan from series s join points p on p.series = s.id
where s.run = (select number from runs where id = :run_id) and s.key = :key and (:node = '' or s.node = :node)
    and p.step in (
        select max(q.step) from series t join points q on q.series = t.id
        where t.run = (select number from runs where id = :run_id) and t.key = :key and (:node = '' or t.node = :node)
        group by q.step / :unit
    )
order by p.step, p.at_ms, p.value, p.is_nan;
-- name: buckets_by_time
with b as (
    select q.at_ms / :unit as bucket, count(*) as points,
        min(case when q.is_nan = 0 then q.value end) as low, max(case when q.is_nan = 0 then q.value end) as high,
        max(q.at_ms) as at_ms
    from series t join points q on q.series = t.id
    where t.run = (select number from runs where id = :run_id) and t.key = :key and (:node = '' or t.node = :node)
    group by q.at_ms / :unit
)
select b.bucket, b.points, b.low, b.high, p.step, p.at_ms, p.value, p.is_nan
from b cross join series s left join points p on p.series = s.id and p.at_ms = b.at_ms
where s.run = (select number from runs where id = :run_id) and s.key = :key and (:node = '' or s.node = :node)
order by b.bucket, p.step, p.value, p.is_nan;
