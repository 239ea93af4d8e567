-- name: insert
insert into webhooks (id, name, url, description, secret, status, author, since, created_us, updated_us, deleted_us)
values (:id, :name, :url, :description, :secret, :status, :author, :since, :created_us, :created_us, null);
-- name: update
update webhooks set name = :name, url = :url, description = :description, secret = :secret, status = :status,
    updated_us = :updated_us
where id = :id;
-- name: delete
update webhooks set deleted_us = :deleted_us, updated_us = :deleted_us, secret = null where id = :id;
-- name: get
select id, name, url, description, secret, status, author, since, created_us, updated_us from webhooks
where id = :id and deleted_us is null;
-- name: page
select id, name, url, description, secret, status, author, since, created_us, updated_us from webhooks
where deleted_us is null and (created_us < :created_us or (created_us = :created_us and id < :id))
order by created_us desc, id desc limit :count;
-- name: count
select count(*) as webhooks from webhooks where deleted_us is null;
-- name: events
select entity, action from webhook_events where webhook = :webhook order by entity, action;
-- name: event_insert
insert into webhook_events (webhook, entity, action) values (:webhook, :entity, :action)
on conflict (webhook, entity, action) do nothing;
-- name: events_delete
delete from webhook_events where webhook = :webhook;
-- name: listening
select w.id from webhooks w join webhook_events e on e.webhook = w.id
where e.entity = :entity and e.action = :action and w.status = 'ACTIVE' and w.deleted_us is null and w.since < :seq
order by w.created_us, w.id;
-- name: reader_put
insert into event_readers (reader, seq) values (:reader, :seq)
on conflict (reader) do update set seq = excluded.seq;
-- name: delivery_insert
insert into webhook_deliveries (id, webhook, event, entity, action, body, state, attempts, next_us, created_us, ended_us)
values (:id, :webhook, :event, :entity, :action, :body, 'waiting', 0, :created_us, :created_us, null)
on conflict (webhook, event) do nothing;
-- name: due
select id, webhook, event, entity, action, body, state, attempts, next_us, created_us, ended_us from (
    select d.*, row_number() over (partition by d.webhook order by d.event) as place
    from webhook_deliveries d where d.state = 'waiting' and d.next_us <= :now_us) q
where place <= :each order by webhook, event limit :count;
-- name: next_due
select min(next_us) as found from webhook_deliveries where state = 'waiting';
-- name: claim
update webhook_deliveries set attempts = attempts + 1, next_us = :next_us
where id = :id and state = 'waiting' and attempts = :attempts and next_us <= :now_us;
-- name: renew
update webhook_deliveries set next_us = :next_us
where id = :id and state = 'waiting' and attempts = :attempts;
-- name: release
update webhook_deliveries set attempts = attempts - 1, next_us = :next_us
where id = :id and state = 'waiting' and attempts = :attempts;
-- name: settle
update webhook_deliveries set state = :state, next_us = :next_us, ended_us = :ended_us
where id = :id and state = 'waiting' and attempts = :attempts;
-- name: attempt_insert
insert into webhook_attempts (delivery, attempt, at_us, status, error)
values (:delivery, :attempt, :at_us, :status, :error);
-- name: deliveries
select id, webhook, event, entity, action, body, state, attempts, next_us, created_us, ended_us from webhook_deliveries
where webhook = :webhook and event < :before and (:state = '' or state = :state) order by event desc limit :count;
-- name: delivery
select id, webhook, event, entity, action, body, state, attempts, next_us, created_us, ended_us from webhook_deliveries
where id = :id;
-- name: counts
select state, count(*) as deliveries from webhook_deliveries where webhook = :webhook group by state;
-- name: again
update webhook_deliveries set state = 'waiting', next_us = :next_us, ended_us = null
where id = :id and state in ('failed', 'dropped')
    and exists (select 1 from webhooks w where w.id = webhook_deliveries.webhook and w.deleted_us is null);
-- name: attempts
select delivery, attempt, at_us, status, error from webhook_attempts where delivery = :delivery order by attempt;
-- name: prune_attempts
delete from webhook_attempts where delivery in (
    select d.id from webhook_deliveries d where d.ended_us is not null and d.ended_us < :before_us);
-- name: prune_deliveries
delete from webhook_deliveries where ended_us is not null and ended_us < :before_us;
