drop table segment_tallies;
drop table reports;
alter table rollouts drop column design;
