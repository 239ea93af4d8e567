-- name: insert
insert into logged_models (id, experiment, name, location, model_type, source_run, status, status_message, author,
    created_us, updated_us, deleted_us)
values (:id, :experiment, :name, :location, :model_type, :source_run, :status, '', :author, :created_us, :created_us, null);
-- name: get
select * from logged_models where id = :id;
-- name: of_run
select * from logged_models where source_run = :run_id and deleted_us is null order by created_us, number;
-- name: set_status
update logged_models set status = :status, updated_us = :updated_us where number = :number;
-- name: delete
update logged_models set deleted_us = :deleted_us, updated_us = :deleted_us where number = :number;
-- name: params
select key, value from logged_model_params where model = :model order by key;
-- name: param
select value from logged_model_params where model = :model and key = :key;
-- name: param_insert
insert into logged_model_params (model, key, value) values (:model, :key, :value);
-- name: tags
select key, value from logged_model_tags where model = :model order by key;
-- name: tag_put
insert into logged_model_tags (model, key, value) values (:model, :key, :value)
on conflict (model, key) do update set value = excluded.value;
-- name: tag_delete
delete from logged_model_tags where model = :model and key = :key;
-- name: metric_insert
insert into logged_model_metrics (model, key, at_ms, step, run_id, dataset_name, dataset_digest, value, is_nan)
values (:model, :key, :at_ms, :step, :run_id, :dataset_name, :dataset_digest, :value, :is_nan)
on conflict (model, key, at_ms, step, run_id, dataset_name, dataset_digest, value, is_nan) do nothing;
-- name: metrics
select model, key, at_ms, step, run_id, dataset_name, dataset_digest, value, is_nan from logged_model_metrics
where model = :model order by at_ms desc, step desc, key, run_id, dataset_name, dataset_digest, value limit :count;
