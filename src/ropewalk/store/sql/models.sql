-- name: insert
insert into model_versions (name, version, manifest, run_id, author, created_us)
values (:name, :version, :manifest, :run_id, :author, :created_us);
-- name: newest
select coalesce(max(version), 0) as version from model_versions where name = :name;
-- name: get
select name, version, manifest, run_id, author, created_us from model_versions
where name = :name and version = :version;
-- name: of_run
select name, version, manifest, run_id, author, created_us from model_versions
where run_id = :run_id order by name;
-- name: of_name_and_run
select name, version, manifest, run_id, author, created_us from model_versions
where name = :name and run_id = :run_id;
-- name: latest
select name, version, manifest, run_id, author, created_us from model_versions
where name = :name order by version desc limit 1;
-- name: list
select name, version, manifest, run_id, author, created_us from model_versions
where name = :name and version < :before order by version desc limit :count;
-- name: of_manifest
select name, version, manifest, run_id, author, created_us from model_versions
where manifest = :manifest order by name, version;
-- name: names
select name, max(version) as version from model_versions group by name order by name;
-- name: all
select name, version, manifest, run_id, author, created_us from model_versions order by name, version;
-- name: alias
select name, alias, seq, version, actor, at_us from model_aliases
where name = :name and alias = :alias order by seq desc limit 1;
-- name: alias_at
select name, alias, seq, version, actor, at_us from model_aliases
where name = :name and alias = :alias and at_us <= :at_us order by seq desc limit 1;
-- name: aliases
select a.name, a.alias, a.seq, a.version, a.actor, a.at_us from model_aliases a
where a.name = :name and a.version > 0
  and a.seq = (select max(b.seq) from model_aliases b where b.name = a.name and b.alias = a.alias)
order by a.alias;
-- name: alias_insert
insert into model_aliases (name, alias, seq, version, actor, at_us)
values (:name, :alias, :seq, :version, :actor, :at_us);
