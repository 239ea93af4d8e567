-- name: get
select answer from idempotency where key = :key;
-- name: insert
insert into idempotency (key, at_us, answer) values (:key, :at_us, :answer);
