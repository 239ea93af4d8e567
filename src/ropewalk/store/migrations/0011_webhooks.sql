-- Webhooks: addresses that are told of changes. The secret is encrypted; `since` is the newest event at the time, for
-- nobody is told of what was before he asked.
create table webhooks (
    id text primary key,
    name text not null,
    url text not null,
    description text not null,
    secret blob,
    status text not null,
    author text not null,
    since bigint not null,
    created_us bigint not null,
    updated_us bigint not null,
    deleted_us bigint
);
create table webhook_events (
    webhook text not null references webhooks (id),
    entity text not null,
    action text not null,
    primary key (webhook, entity, action)
);
create index webhook_events_by_event on webhook_events (entity, action, webhook);

-- What is to be told to whom: one row for each webhook that an event concerns, until it is told or given up.
create table webhook_deliveries (
    id text primary key,
    webhook text not null references webhooks (id),
    event bigint not null,
    entity text not null,
    action text not null,
    body text not null,
    state text not null,
    attempts integer not null,
    next_us bigint not null,
    created_us bigint not null,
    ended_us bigint,
    unique (webhook, event)
);
create index webhook_deliveries_due on webhook_deliveries (state, next_us);
create index webhook_deliveries_by_end on webhook_deliveries (ended_us);
create table webhook_attempts (
    delivery text not null references webhook_deliveries (id),
    attempt integer not null,
    at_us bigint not null,
    status integer not null,
    error text not null,
    primary key (delivery, attempt)
);
