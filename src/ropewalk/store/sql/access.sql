-- name: changes
select value from access_changes where name = 'all';
-- name: changed
update access_changes set value = value + 1 where name = 'all';
-- name: user_insert
insert into users (name, folded, password, kind, state, created_us, password_us)
values (:name, :folded, :password, :kind, :state, :created_us, :password_us);
-- name: user
select name, kind, state, created_us, password_us, password from users where folded = :folded;
-- name: users
select name, kind, state, created_us, password_us, password from users order by name;
-- name: user_count
select count(*) as found from users where state = 'active';
-- name: user_password
update users set password = :password, password_us = :at_us where name = :name;
-- name: user_state
update users set state = :state where name = :name;
-- name: role_insert
insert into user_roles (user_name, role, project, environment, at_us)
values (:user_name, :role, :project, :environment, :at_us)
on conflict (user_name, role, project, environment) do nothing;
-- name: role_delete
delete from user_roles
where user_name = :user_name and role = :role and project = :project and environment = :environment;
-- name: roles_of
select role, project, environment from user_roles where user_name = :user_name order by role, project, environment;
-- name: token_insert
insert into tokens (id, digest, user_name, note, role, project, environment, created_us, expires_us)
values (:id, :digest, :user_name, :note, :role, :project, :environment, :created_us, :expires_us);
-- name: token_by_digest
select id, user_name, note, role, project, environment, created_us, expires_us, revoked_us, used_us
from tokens where digest = :digest;
-- name: token
select id, user_name, note, role, project, environment, created_us, expires_us, revoked_us, used_us
from tokens where id = :id;
-- name: tokens
select id, user_name, note, role, project, environment, created_us, expires_us, revoked_us, used_us
from tokens where (:user_name = '' or user_name = :user_name) order by created_us desc, id;
-- name: token_revoke
update tokens set revoked_us = :at_us where id = :id and revoked_us is null;
-- name: tokens_revoke
update tokens set revoked_us = :at_us where user_name = :user_name and revoked_us is null;
-- name: token_used
update tokens set used_us = :at_us where id = :id and coalesce(used_us, 0) <= :before_us;
-- name: session_insert
insert into sessions (digest, user_name, created_us, expires_us) values (:digest, :user_name, :created_us, :expires_us);
-- name: session
select user_name, created_us, expires_us from sessions where digest = :digest;
-- name: session_delete
delete from sessions where digest = :digest;
-- name: sessions_delete
delete from sessions where user_name = :user_name;
-- name: sessions_expired
delete from sessions where expires_us < :now_us;
-- name: attempt_insert
insert into attempts (subject, at_us) values (:subject, :at_us);
-- name: attempts
select count(*) as found from attempts where subject = :subject and at_us > :since_us;
-- name: attempts_forget
delete from attempts where subject = :subject;
-- name: attempts_old
delete from attempts where at_us < :before_us;
