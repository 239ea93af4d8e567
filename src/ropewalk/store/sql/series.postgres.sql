-- name: ends_by_step
select distinct on (p.step / :unit) p.step / :unit as bucket, p.step, p.at_ms, p.value, p.is_nan
from series s join points p on p.series = s.id
where s.run = (select number from runs where id = :run_id) and s.key = :key and (:node = '' or s.node = :node)
order by p.step / :unit, p.step desc, p.at_ms desc, p.value desc, p.is_nan desc;
