drop table artifact_sweeps;
drop table artifact_parts;
drop table artifact_uploads;
drop table artifact_folders;
drop table artifacts;
