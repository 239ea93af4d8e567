drop table workspace_levels;
drop table workspace_usage;
drop table workspaces;
