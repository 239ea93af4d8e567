-- name: insert
insert into events (at_us, kind, subject, body) values (:at_us, :kind, :subject, :body);
-- name: after
select seq, at_us, kind, subject, body from events where seq > :seq order by seq limit :count;
-- name: reader
select seq from event_readers where reader = :reader;
-- name: newest
select coalesce(max(seq), 0) from events;
-- name: any_read_before
select seq from events
where at_us < :at_us and seq <= coalesce((select min(seq) from event_readers), 9223372036854775807)
order by seq limit 1;
-- name: delete_read_before
delete from events where seq in (
    select seq from events
    where at_us < :at_us and seq <= coalesce((select min(seq) from event_readers), 9223372036854775807)
    order by seq limit :count
);
-- name: reader_set
insert into event_readers (reader, seq) values (:reader, :seq)
on conflict (reader) do update set seq = excluded.seq;
