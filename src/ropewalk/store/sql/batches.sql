-- name: insert
insert into batches (id, key, release, bundle, environment, source, survey, target, policy, state, cancel, rows, scored,
    aside, output, note, actor, host, boot, pid, born, expires_us, fence, begun_us, at_us)
values (:id, :key, :release, :bundle, :environment, :source, '', :target, :policy, 'waiting', 0, 0, 0,
    0, '', '', :actor, '', '', 0, 0, 0, 0, :at_us, :at_us);
-- name: get
select id, key, release, bundle, environment, source, survey, target, policy, state, cancel, rows, scored, aside,
    output, note, actor, host, boot, pid, born, expires_us, fence, begun_us, at_us
from batches where id = :id;
-- name: newest_of
select id, key, release, bundle, environment, source, survey, target, policy, state, cancel, rows, scored, aside,
    output, note, actor, host, boot, pid, born, expires_us, fence, begun_us, at_us
from batches where key = :key order by id desc limit 1;
-- name: page
select id, key, release, bundle, environment, source, survey, target, policy, state, cancel, rows, scored, aside,
    output, note, actor, host, boot, pid, born, expires_us, fence, begun_us, at_us
from batches where id < :before order by id desc limit :count;
-- name: open
select id, key, release, bundle, environment, source, survey, target, policy, state, cancel, rows, scored, aside,
    output, note, actor, host, boot, pid, born, expires_us, fence, begun_us, at_us
from batches where state in ('waiting', 'running') order by id;
-- name: stale
select id, key, release, bundle, environment, source, survey, target, policy, state, cancel, rows, scored, aside,
    output, note, actor, host, boot, pid, born, expires_us, fence, begun_us, at_us
from batches where state = 'failed' and at_us < :before_us order by at_us limit 20;
-- name: take
update batches set state = 'running', cancel = 0, policy = :policy, note = '', host = :host, boot = :boot, pid = :pid,
    born = :born, expires_us = :expires_us, fence = fence + 1, at_us = :at_us
where id = :id and fence = :fence and state = :before;
-- name: surveyed
update batches set survey = :survey, rows = :rows, expires_us = :expires_us, at_us = :at_us
where id = :id and fence = :fence and state = 'running';
-- name: advance
update batches set scored = :scored, aside = :aside, expires_us = :expires_us, at_us = :at_us
where id = :id and fence = :fence and state = 'running' and cancel = 0;
-- name: settle
update batches set state = :state, note = :note, output = :output, at_us = :at_us
where id = :id and fence = :fence and state = :before;
-- name: ask_cancel
update batches set cancel = 1 where id = :id and state = 'running';
-- name: part_insert
insert into batch_parts (batch, number, rows, aside, digest, set_aside)
values (:batch, :number, :rows, :aside, :digest, :set_aside)
on conflict (batch, number) do update set rows = excluded.rows, aside = excluded.aside, digest = excluded.digest,
    set_aside = excluded.set_aside;
-- name: parts
select batch, number, rows, aside, digest, set_aside from batch_parts where batch = :batch order by number;
-- name: parts_delete
delete from batch_parts where batch = :batch;
