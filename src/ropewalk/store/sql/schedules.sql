-- name: insert
insert into schedules (name, pipeline, kind, spec, state, cursor_us, since, seen, secret, created_us, updated_us)
values (:name, :pipeline, :kind, :spec, :state, :cursor_us, :since, :seen, null, :created_us, :created_us);
-- name: update
update schedules set pipeline = :pipeline, kind = :kind, spec = :spec, state = :state, cursor_us = :cursor_us,
    since = :since, seen = :seen, updated_us = :updated_us
where name = :name;
-- name: state
update schedules set state = :state, cursor_us = :cursor_us, since = :since, updated_us = :updated_us
where name = :name;
-- name: cursor
update schedules set cursor_us = :cursor_us where name = :name and cursor_us = :seen_us and state = 'active';
-- name: seen
update schedules set seen = :seen where name = :name and seen = :before and state = 'active';
-- name: secret
update schedules set secret = :secret, updated_us = :updated_us where name = :name;
-- name: secret_of
select secret from schedules where name = :name;
-- name: get
select name, pipeline, kind, spec, state, cursor_us, since, seen, created_us, updated_us from schedules
where name = :name;
-- name: all
select name, pipeline, kind, spec, state, cursor_us, since, seen, created_us, updated_us from schedules
order by name;
-- name: fire_insert
insert into fires (id, schedule, key, cause, actor, backfill, due_us, not_before_us, from_us, until_us, args, told,
    state, cancel, note, run, host, boot, pid, born, expires_us, fence, created_us, started_us, ended_us)
values (:id, :schedule, :key, :cause, :actor, :backfill, :due_us, :not_before_us, :from_us, :until_us, :args, :told,
    :state, 0, :note, '', '', '', 0, 0, 0, 0, :created_us, null, :ended_us)
on conflict (schedule, key) do nothing;
-- name: fire
select * from fires where id = :id;
-- name: fire_of_key
select * from fires where schedule = :schedule and key = :key;
-- name: fire_of_run
select id from fires where run = :run and run <> '' and schedule = :schedule;
-- name: fires_open
select id, schedule, key, cause, actor, backfill, due_us, not_before_us, from_us, until_us, args, told, state, cancel, note,
    run, host, boot, pid, born, expires_us, fence, created_us, started_us, ended_us from (
    select f.*, row_number() over (partition by f.schedule, f.backfill, f.state order by f.due_us, f.id) as place
    from fires f where f.state in ('waiting', 'running')) q
where state = 'running' or place <= :each order by due_us, id;
-- name: fires_open_of
select * from fires where state in ('waiting', 'running') and schedule = :schedule and backfill = '' order by due_us, id;
-- name: fires_of
select * from fires where schedule = :schedule and (due_us < :due_us or (due_us = :due_us and id < :id))
order by due_us desc, id desc limit :count;
-- name: fires_between
select * from fires where due_us >= :from_us and due_us < :until_us order by due_us, id limit :count;
-- name: fires_between_of
select * from fires where schedule = :schedule and due_us >= :from_us and due_us < :until_us
order by due_us, id limit :count;
-- name: fires_of_backfill
select * from fires where backfill = :backfill and backfill <> '' order by due_us, id;
-- name: fires_counted
select backfill, state, count(*) as fires from fires where backfill <> '' group by backfill, state;
-- name: fires_counted_of
select state, count(*) as fires from fires where backfill = :backfill and backfill <> '' group by state;
-- name: fire_claim
update fires set state = 'running', host = :host, boot = :boot, pid = :pid, born = :born, expires_us = :expires_us,
    fence = fence + 1, started_us = coalesce(started_us, :started_us), note = ''
where id = :id and fence = :fence and state in ('waiting', 'running');
-- name: fire_renew
update fires set expires_us = :expires_us where id = :id and fence = :fence and state = 'running';
-- name: fire_run
update fires set run = :run where id = :id and fence = :fence and state = 'running';
-- name: fire_move
update fires set state = :state, note = :note, ended_us = :ended_us where id = :id and fence = :fence and state = :before;
-- name: fire_cancel
update fires set cancel = 1 where id = :id and state = 'running';
-- name: fire_again
update fires set state = 'waiting', cancel = 0, note = '', run = '', started_us = null, ended_us = null,
    fence = fence + 1
where id = :id and state = :before;
-- name: backfill_insert
insert into backfills (id, schedule, from_us, until_us, parallel, state, actor, created_us, ended_us)
values (:id, :schedule, :from_us, :until_us, :parallel, 'open', :actor, :created_us, null);
-- name: backfill
select * from backfills where id = :id;
-- name: backfill_of_range
select * from backfills where schedule = :schedule and from_us = :from_us and until_us = :until_us
order by created_us desc, id desc limit 1;
-- name: backfills
select * from backfills order by created_us desc, id desc limit :count;
-- name: backfills_of
select * from backfills where schedule = :schedule order by created_us desc, id desc limit :count;
-- name: backfill_move
update backfills set state = :state, parallel = :parallel, ended_us = :ended_us where id = :id;
-- name: fires_old
select f.id from fires f left join backfills b on b.id = f.backfill
where f.due_us < :before_us and f.ended_us < :before_us and f.state not in ('waiting', 'running')
    and (f.backfill = '' or b.id is null or (b.state <> 'open' and b.ended_us < :before_us))
order by f.due_us, f.id limit :count;
-- name: backfills_old
select b.id from backfills b where b.state <> 'open' and b.ended_us < :before_us
    and not exists (select 1 from fires f where f.backfill = b.id and f.backfill <> '') order by b.id limit 1000;
-- name: fire_forget
delete from fires where id = :id and state not in ('waiting', 'running');
-- name: backfill_forget
delete from backfills where id = :id and state <> 'open';
