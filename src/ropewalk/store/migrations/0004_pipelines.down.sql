drop table run_graphs;
drop table steps;
drop table step_codes;
drop table outcomes;
