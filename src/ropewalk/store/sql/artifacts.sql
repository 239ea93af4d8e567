-- name: get
select folder, name, digest, bytes, media, at_us from artifacts where folder = :folder and name = :name;
-- name: files
select folder, name, digest, bytes, media, at_us from artifacts where folder = :folder and name > :after
order by name limit :count;
-- name: folders
select name from artifact_folders where folder = :folder and name > :after order by name limit :count;
-- name: is_folder
select 1 as found from artifact_folders where folder = :folder and name = :name;
-- name: put
insert into artifacts (folder, name, digest, bytes, media, at_us)
values (:folder, :name, :digest, :bytes, :media, :at_us)
on conflict (folder, name) do update set
    digest = excluded.digest, bytes = excluded.bytes, media = excluded.media, at_us = excluded.at_us;
-- name: folder_put
insert into artifact_folders (folder, name) values (:folder, :name) on conflict (folder, name) do nothing;
-- name: remove
delete from artifacts where folder = :folder and name = :name;
-- name: remove_files
delete from artifacts where folder = :folder;
-- name: remove_folders
delete from artifact_folders where folder = :folder;
-- name: remove_folder
delete from artifact_folders where folder = :folder and name = :name;
-- name: any_in
select 1 as found from artifacts where folder = :folder
union all
select 1 as found from artifact_folders where folder = :folder
limit 1;
-- name: swept
select digest, at_us, done from artifact_sweeps where digest = :digest;
-- name: sweep
insert into artifact_sweeps (digest, at_us, done) values (:digest, :at_us, 0)
on conflict (digest) do update set at_us = excluded.at_us, done = 0;
-- name: sweep_done
update artifact_sweeps set at_us = :at_us, done = 1 where digest = :digest;
-- name: sweep_drop
delete from artifact_sweeps where digest = :digest;
-- name: sweep_forget
delete from artifact_sweeps where done = 1 and at_us < :before_us;
-- name: of_digest
select 1 as found from artifacts where digest = :digest
union all
select 1 as found from artifact_parts where digest = :digest
limit 1;
-- name: upload_insert
insert into artifact_uploads (id, path, parts, digest, at_us) values (:id, :path, :parts, '', :at_us);
-- name: upload
select id, path, parts, digest, at_us from artifact_uploads where id = :id;
-- name: upload_done
update artifact_uploads set digest = :digest where id = :id;
-- name: upload_drop
delete from artifact_uploads where id = :id;
-- name: uploads_before
select id, path, parts, digest, at_us from artifact_uploads where at_us < :before_us order by at_us limit :count;
-- name: parts_before
select distinct p.digest from artifact_parts p join artifact_uploads u on u.id = p.upload where u.at_us < :before_us;
-- name: part_put
insert into artifact_parts (upload, part, digest, bytes) values (:upload, :part, :digest, :bytes)
on conflict (upload, part) do update set digest = excluded.digest, bytes = excluded.bytes;
-- name: parts
select part, digest, bytes from artifact_parts where upload = :upload order by part;
-- name: parts_drop
delete from artifact_parts where upload = :upload;
