-- name: dataset
insert into datasets (experiment, name, digest, source_type, source, schema, profile)
values (:experiment, :name, :digest, :source_type, :source, :schema, :profile)
on conflict (experiment, name, digest) do nothing;
-- name: dataset_id
select id from datasets where experiment = :experiment and name = :name and digest = :digest;
-- name: read
insert into run_inputs (run, dataset) values (:run, :dataset) on conflict (run, dataset) do nothing;
-- name: tag
insert into run_input_tags (run, dataset, key, value) values (:run, :dataset, :key, :value)
on conflict (run, dataset, key) do nothing;
-- name: model
insert into run_models (run, way, model, step) values (:run, :way, :model, :step)
on conflict (run, way, model, step) do nothing;
-- name: summaries
select distinct d.experiment as experiment, d.name as name, d.digest as digest, t.value as context
from datasets d join run_inputs i on i.dataset = d.id
    left join run_input_tags t on t.run = i.run and t.dataset = i.dataset and t.key = 'mlflow.data.context'
where d.experiment = :experiment order by 2, 3, 4 limit :count;
