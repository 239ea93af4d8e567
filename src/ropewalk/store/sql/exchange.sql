-- name: runs
select * from runs where experiment = :experiment and number > :after order by number limit :count;
-- name: logged
select * from logged_models where experiment = :experiment and deleted_us is null order by number;
-- name: models
select name from registered_models where deleted_us is null order by name;
-- name: stamp_experiment
update experiments set created_us = :created_us, updated_us = :updated_us where id = :id;
-- name: stamp_model
update registered_models set created_us = :created_us, updated_us = :updated_us where id = :id;
-- name: stamp_version
update model_versions set created_us = :created_us, updated_us = :updated_us where model = :model and version = :version;
