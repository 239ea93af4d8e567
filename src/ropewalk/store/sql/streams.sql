-- name: stream
select name, paused, position, lag, seen_us, problem from streams where name = :name;
-- name: all
select name, paused, position, lag, seen_us, problem from streams order by name;
-- name: seen
insert into streams (name, paused, position, lag, seen_us, problem)
values (:name, 0, :position, :lag, :seen_us, :problem)
on conflict (name) do update set
    position = case when excluded.position = '' then streams.position else excluded.position end,
    lag = excluded.lag, seen_us = excluded.seen_us, problem = excluded.problem;
-- name: pause
insert into streams (name, paused, position, lag, seen_us, problem) values (:name, :paused, '', null, null, '')
on conflict (name) do update set paused = excluded.paused;
-- name: message
select stream, message, state, attempts, prediction, release, position, body, result, published, error, at_us
from stream_messages where stream = :stream and message = :message;
-- name: settle
insert into stream_messages
    (stream, message, state, attempts, prediction, release, position, body, result, published, error, at_us)
values (:stream, :message, :state, :attempts, :prediction, :release, :position, :body, :result, :published, :error, :at_us)
on conflict (stream, message) do update set
    state = excluded.state, attempts = excluded.attempts, prediction = excluded.prediction, release = excluded.release,
    body = excluded.body, result = excluded.result, published = excluded.published, error = excluded.error,
    at_us = excluded.at_us
where stream_messages.state in ('trying', 'again') and stream_messages.attempts = :before;
-- name: published
update stream_messages set published = 1, result = '' where stream = :stream and message = :message;
-- name: unpublished
select stream, message, state, attempts, prediction, release, position, body, result, published, error, at_us
from stream_messages where stream = :stream and published = 0 order by at_us limit :count;
-- name: in_state
select stream, message, state, attempts, prediction, release, position, body, result, published, error, at_us
from stream_messages where stream = :stream and state = :state order by at_us, message limit :count;
-- name: counts
select state, count(*) as messages from stream_messages where stream = :stream group by state order by state;
-- name: again
update stream_messages set state = 'again', attempts = 0, published = 1, result = ''
where stream = :stream and message = :message and state = 'dead';
-- name: old
delete from stream_messages where stream = :stream and state = 'done' and published = 1 and at_us < :before_us;
