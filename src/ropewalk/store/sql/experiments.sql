-- name: insert
insert into experiments (name, location, state, created_us, updated_us)
values (:name, :location, 'active', :at_us, :at_us)
on conflict (name) do nothing returning id;
-- name: insert_as
insert into experiments (id, name, location, state, created_us, updated_us)
values (:id, :name, :location, :state, :at_us, :at_us);
-- name: locate
update experiments set location = :location where id = :id;
-- name: get
select * from experiments where id = :id;
-- name: by_name
select * from experiments where name = :name;
-- name: ids
select id from experiments order by id;
-- name: rename
update experiments set name = :name, updated_us = :at_us where id = :id;
-- name: move
update experiments set state = :state, updated_us = :at_us where id = :id;
-- name: delete_runs
update runs set deleted_us = :at_us where experiment = :id and deleted_us is null;
-- name: restore_runs
update runs set deleted_us = null where experiment = :id and deleted_us is not null;
-- name: tag
insert into experiment_tags (experiment, key, value) values (:id, :key, :value)
on conflict (experiment, key) do update set value = excluded.value;
-- name: untag
delete from experiment_tags where experiment = :id and key = :key;
-- name: tags
select key, value from experiment_tags where experiment = :id order by key;
