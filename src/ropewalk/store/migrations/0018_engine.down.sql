drop table step_logs;
drop table step_maps;
