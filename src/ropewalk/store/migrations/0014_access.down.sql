drop table access_changes;
drop table attempts;
drop table sessions;
drop table tokens;
drop table user_roles;
drop table users;
