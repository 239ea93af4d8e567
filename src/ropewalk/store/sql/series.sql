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
-- name: sampled
with picked as (
    select p.step, p.at_ms, p.value, p.is_nan,
        ntile(:count) over (order by p.step, p.at_ms, p.value, p.is_nan) as bucket,
        row_number() over (order by p.step, p.at_ms, p.value, p.is_nan) as place
    from series s join points p on p.series = s.id
    where s.run = (select number from runs where id = :run_id) and s.key = :key and (:node = '' or s.node = :node)
        and p.step >= :low and p.step <= :high
)
select t.step, t.at_ms, t.value, t.is_nan from picked t
join (select bucket as bucket, min(place) as first from picked group by bucket) b on b.first = t.place
union
select t.step, t.at_ms, t.value, t.is_nan from picked t where t.place = (select max(place) from picked)
order by 1, 2, 3, 4;
-- name: span
select count(*) as points, min(p.step) as first_step, max(p.step) as last_step, min(p.at_ms) as first_ms,
    max(p.at_ms) as last_ms
from series s join points p on p.series = s.id
where s.run = (select number from runs where id = :run_id) and s.key = :key and (:node = '' or s.node = :node);
-- name: buckets_by_step
with b as (
    select p.step / :unit as bucket, p.step, p.at_ms, p.value, p.is_nan
    from series s join points p on p.series = s.id
    where s.run = (select number from runs where id = :run_id) and s.key = :key and (:node = '' or s.node = :node)
), r as (
    select b.bucket, b.step, b.at_ms, b.value, b.is_nan,
        row_number() over (partition by b.bucket order by b.step desc, b.at_ms desc, b.value desc) as place
    from b
), a as (
    select bucket, min(case when is_nan = 0 then value end) as low, max(case when is_nan = 0 then value end) as high,
        count(*) as points
    from b group by bucket
)
select a.bucket, a.low, a.high, a.points, r.step, r.at_ms, r.value, r.is_nan
from a join r on r.bucket = a.bucket and r.place = 1 order by a.bucket;
-- name: buckets_by_time
with b as (
    select p.at_ms / :unit as bucket, p.step, p.at_ms, p.value, p.is_nan
    from series s join points p on p.series = s.id
    where s.run = (select number from runs where id = :run_id) and s.key = :key and (:node = '' or s.node = :node)
), r as (
    select b.bucket, b.step, b.at_ms, b.value, b.is_nan,
        row_number() over (partition by b.bucket order by b.at_ms desc, b.step desc, b.value desc) as place
    from b
), a as (
    select bucket, min(case when is_nan = 0 then value end) as low, max(case when is_nan = 0 then value end) as high,
        count(*) as points
    from b group by bucket
)
select a.bucket, a.low, a.high, a.points, r.step, r.at_ms, r.value, r.is_nan
from a join r on r.bucket = a.bucket and r.place = 1 order by a.bucket;
