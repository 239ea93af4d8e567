drop table step_attempts;
drop table graph_nodes;
