drop table backfills;
drop table fires;
drop table schedules;
