-- name: captured
select coalesce(sum(rows), 0) as rows, coalesce(min(first_us), 0) as first_us from segments where endpoint = :endpoint;
