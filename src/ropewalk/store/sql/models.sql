-- name: model_insert
insert into registered_models (name, author, description, created_us, updated_us, deleted_us)
values (:name, :author, :description, :created_us, :created_us, null) returning id;
-- name: model
select id, name, author, description, created_us, updated_us from registered_models
where name = :name and deleted_us is null;
-- name: model_rename
update registered_models set name = :name, updated_us = :updated_us where id = :id;
-- name: model_describe
update registered_models set description = :description, updated_us = :updated_us where id = :id;
-- name: model_touch
update registered_models set updated_us = :updated_us where id = :id;
-- name: model_delete
update registered_models set deleted_us = :deleted_us, updated_us = :deleted_us where id = :id;
-- name: model_names
select name from registered_models where deleted_us is null order by name;
-- name: model_tags
select key, value from registered_model_tags where model = :model order by key;
-- name: model_tag
select value from registered_model_tags where model = :model and key = :key;
-- name: model_tag_put
insert into registered_model_tags (model, key, value) values (:model, :key, :value)
on conflict (model, key) do update set value = excluded.value;
-- name: model_tag_delete
delete from registered_model_tags where model = :model and key = :key;
-- name: insert
insert into model_versions (model, version, registered_as, manifest, run_id, author, source, storage, run_link,
    logged_model, stage, status, status_message, description, created_us, updated_us, deleted_us)
values (:model, :version, :name, :manifest, :run_id, :author, :source, :storage, :run_link, :logged_model, 'None',
    'READY', '', :description, :created_us, :created_us, null);
-- name: newest
select coalesce(max(version), 0) as version from model_versions where model = :model;
-- name: get
select v.*, m.name from model_versions v join registered_models m on m.id = v.model
where m.name = :name and m.deleted_us is null and v.version = :version and v.deleted_us is null;
-- name: of_run
select v.*, m.name from model_versions v join registered_models m on m.id = v.model
where v.run_id = :run_id and m.deleted_us is null and v.deleted_us is null order by m.name, v.version;
-- name: of_name_and_run
select v.*, m.name from model_versions v join registered_models m on m.id = v.model
where m.name = :name and v.run_id = :run_id and v.manifest <> '' and m.deleted_us is null and v.deleted_us is null
order by v.version limit 1;
-- name: latest
select v.*, m.name from model_versions v join registered_models m on m.id = v.model
where m.name = :name and m.deleted_us is null and v.deleted_us is null order by v.version desc limit 1;
-- name: latest_with_bytes
select v.*, m.name from model_versions v join registered_models m on m.id = v.model
where m.name = :name and v.manifest <> '' and m.deleted_us is null and v.deleted_us is null
order by v.version desc limit 1;
-- name: list
select v.*, m.name from model_versions v join registered_models m on m.id = v.model
where m.name = :name and m.deleted_us is null and v.deleted_us is null and v.version < :before
order by v.version desc limit :count;
-- name: of_manifest
select v.*, m.name from model_versions v join registered_models m on m.id = v.model
where v.manifest = :manifest and m.deleted_us is null and v.deleted_us is null order by m.name, v.version;
-- name: all
select v.*, m.name from model_versions v join registered_models m on m.id = v.model
where m.deleted_us is null and v.deleted_us is null order by m.name, v.version;
-- name: latest_by_stage
select v.*, m.name from (select w.stage, max(w.version) as version from model_versions w
    where w.model = :model and w.deleted_us is null group by w.stage) l
join model_versions v on v.model = :model and v.version = l.version
join registered_models m on m.id = v.model order by v.version;
-- name: in_stage
select v.*, m.name from model_versions v join registered_models m on m.id = v.model
where v.model = :model and v.stage = :stage and v.deleted_us is null order by v.version;
-- name: set_stage
update model_versions set stage = :stage, updated_us = :updated_us where model = :model and version = :version;
-- name: describe
update model_versions set description = :description, updated_us = :updated_us
where model = :model and version = :version;
-- name: delete
update model_versions set deleted_us = :deleted_us, updated_us = :deleted_us
where model = :model and version = :version;
-- name: tags
select key, value from model_version_tags where model = :model and version = :version order by key;
-- name: tag
select value from model_version_tags where model = :model and version = :version and key = :key;
-- name: tag_put
insert into model_version_tags (model, version, key, value) values (:model, :version, :key, :value)
on conflict (model, version, key) do update set value = excluded.value;
-- name: tag_delete
delete from model_version_tags where model = :model and version = :version and key = :key;
-- name: alias
select alias, seq, version, actor, at_us from model_aliases
where model = :model and alias = :alias order by seq desc limit 1;
-- name: alias_at
select alias, seq, version, actor, at_us from model_aliases
where model = :model and alias = :alias and at_us <= :at_us order by seq desc limit 1;
-- name: aliases
select a.alias, a.seq, a.version, a.actor, a.at_us from model_aliases a
where a.model = :model and a.version > 0
  and a.seq = (select max(b.seq) from model_aliases b where b.model = a.model and b.alias = a.alias)
order by a.alias;
-- name: alias_history
select alias, seq, version, actor, at_us from model_aliases
where model = :model and (:alias = '' or alias = :alias) and (at_us < :before_us)
order by at_us desc, alias desc, seq desc limit :count;
-- name: alias_insert
insert into model_aliases (model, alias, seq, version, actor, at_us)
values (:model, :alias, :seq, :version, :actor, :at_us);
