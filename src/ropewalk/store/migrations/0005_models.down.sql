drop table model_aliases;
drop table model_version_tags;
drop table model_versions;
drop table registered_model_tags;
drop table registered_models;
