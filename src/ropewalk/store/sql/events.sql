-- name: insert
insert into events (at_us, kind, subject, body) values (:at_us, :kind, :subject, :body);
-- name: after
select seq, at_us, kind, subject, body from events where seq > :seq order by seq limit :count;
-- name: reader
select seq from event_readers where reader = :reader;
-- name: newest
select coalesce(max(seq), 0) from events;
