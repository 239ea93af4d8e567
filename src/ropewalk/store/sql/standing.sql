-- name: alerts
select endpoint, monitor, kind, state, count(*) as count from alerts group by endpoint, monitor, kind, state
order by endpoint, monitor, kind, state;
-- name: rollouts
select endpoint, state, count(*) as count from rollouts group by endpoint, state order by endpoint, state;
-- name: jobs
select 'run' as kind, state, count(*) as count from runs where deleted_us is null group by state
union all
select 'batch' as kind, state, count(*) as count from batches group by state
union all
select 'start' as kind, state, count(*) as count from fires group by state
union all
select 'delivery' as kind, state, count(*) as count from webhook_deliveries group by state;
-- name: streams
select name, paused, lag from streams order by name;
-- name: captured
select endpoint, count(*) as segments, coalesce(sum(rows), 0) as rows, coalesce(sum(bytes), 0) as bytes from segments
group by endpoint order by endpoint;
