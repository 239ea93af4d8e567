drop table snapshot_parents;
drop table snapshots;
