drop table run_models;
drop table run_input_tags;
drop table run_inputs;
drop table datasets;
