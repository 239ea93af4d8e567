-- Who may enter. `password` is an argon2id hash, empty for services, which enter with tokens alone.
create table users (
    name text primary key,
    folded text not null unique,
    password text not null,
    kind text not null,
    state text not null,
    created_us bigint not null,
    password_us bigint not null
);

-- What they may do, per project and environment ('*' is every one).
create table user_roles (
    user_name text not null references users (name),
    role text not null,
    project text not null,
    environment text not null,
    at_us bigint not null,
    primary key (user_name, role, project, environment)
);

-- Tokens by the sha256 of what was shown once; one can do no more than its scope and its user both allow.
create table tokens (
    id text primary key,
    digest text not null unique,
    user_name text not null references users (name),
    note text not null,
    role text not null,
    project text not null,
    environment text not null,
    created_us bigint not null,
    expires_us bigint not null,
    revoked_us bigint,
    used_us bigint
);
create index tokens_by_user on tokens (user_name, created_us);

-- Browsers that have logged in, by the sha256 of their cookie.
create table sessions (
    digest text primary key,
    user_name text not null references users (name),
    created_us bigint not null,
    expires_us bigint not null
);
create index sessions_by_user on sessions (user_name);
create index sessions_by_expiry on sessions (expires_us);

-- Wrong passwords, by account and by address.
create table attempts (
    subject text not null,
    at_us bigint not null
);
create index attempts_by_subject on attempts (subject, at_us);
create index attempts_by_time on attempts (at_us);

-- Counts up with every change above that makes somebody's rights others: caches look at it.
create table access_changes (
    name text primary key,
    value bigint not null
);
insert into access_changes (name, value) values ('all', 0);
