-- name: series_of
select json_group_object(key, id) from series
where run = :run and node = :node and key in (select value from json_each(:keys));
