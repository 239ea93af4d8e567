-- name: series_of
select coalesce(json_object_agg(key, id), '{}')::text from series
where run = :run and node = :node and key in (select json_array_elements_text(cast(:keys as json)));
