-- name: get
select id, name, schema, profile, digest, created_ms, updated_ms, created_by, updated_by
from evaluation_datasets where id = :id;
-- name: insert
insert into evaluation_datasets (id, name, schema, profile, digest, created_ms, updated_ms, created_by, updated_by)
values (:id, :name, :schema, :profile, :digest, :created_ms, :updated_ms, :created_by, :updated_by);
-- name: update
update evaluation_datasets set schema = :schema, profile = :profile, digest = :digest, updated_ms = :updated_ms,
    updated_by = :updated_by
where id = :id;
-- name: delete
delete from evaluation_datasets where id = :id;
-- name: tag
insert into evaluation_tags (dataset, key, value) values (:dataset, :key, :value)
on conflict (dataset, key) do update set value = excluded.value;
-- name: untag
delete from evaluation_tags where dataset = :dataset and key = :key;
-- name: count_tags
select count(*) as number from evaluation_tags where dataset = :dataset;
-- name: tags
select key, value from evaluation_tags where dataset = :dataset order by key;
-- name: join
insert into evaluation_experiments (dataset, experiment) values (:dataset, :experiment)
on conflict (dataset, experiment) do nothing;
-- name: leave
delete from evaluation_experiments where dataset = :dataset and experiment = :experiment;
-- name: experiments
select experiment from evaluation_experiments where dataset = :dataset order by experiment;
-- name: record
select number, id, outputs, expectations, tags from evaluation_records
where dataset = :dataset and input_hash = :input_hash;
-- name: insert_record
insert into evaluation_records (id, dataset, input_hash, inputs, outputs, expectations, tags, source, source_id,
    source_type, created_ms, updated_ms, created_by, updated_by)
values (:id, :dataset, :input_hash, :inputs, :outputs, :expectations, :tags, :source, :source_id, :source_type,
    :created_ms, :updated_ms, :created_by, :updated_by);
-- name: update_record
update evaluation_records set outputs = :outputs, expectations = :expectations, tags = :tags,
    updated_ms = :updated_ms, updated_by = coalesce(:updated_by, updated_by)
where number = :number;
-- name: records
select number, id, dataset, inputs, outputs, expectations, tags, source, source_id, source_type, created_ms,
    updated_ms, created_by, updated_by
from evaluation_records where dataset = :dataset and number > :number order by number limit :count;
-- name: count_records
select count(*) as number from evaluation_records where dataset = :dataset;
-- name: delete_record
delete from evaluation_records where dataset = :dataset and id = :id;
