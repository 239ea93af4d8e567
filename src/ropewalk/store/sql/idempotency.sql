-- name: get
select answer from idempotency where key = :key;
-- name: insert
insert into idempotency (key, at_us, answer) values (:key, :at_us, :answer);
-- name: any_before
select key from idempotency where at_us < :at_us limit 1;
-- name: delete_before
delete from idempotency where key in (select key from idempotency where at_us < :at_us order by at_us limit :count);
