drop table step_leases;
drop table orchestrated_runs;
