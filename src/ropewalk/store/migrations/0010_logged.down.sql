drop table logged_model_metrics;
drop table logged_model_tags;
drop table logged_model_params;
drop table logged_models;
