-- name: last
select seq, hash, signature from ledger order by seq desc limit 1;
-- name: insert
insert into ledger (seq, at_us, actor, kind, subject, body, prev, hash, signature)
values (:seq, :at_us, :actor, :kind, :subject, :body, :prev, :hash, :signature);
-- name: from
select seq, at_us, actor, kind, subject, body, prev, hash, signature from ledger where seq >= :seq order by seq limit :count;
-- name: of_subject
select seq, at_us, actor, kind, subject, body, prev, hash, signature from ledger where subject = :subject order by seq;
-- name: of_kind
select seq, at_us, actor, kind, subject, body, prev, hash, signature from ledger where kind = :kind order by seq;
-- name: newest
select seq, at_us, actor, kind, subject, body, prev, hash, signature from ledger order by seq desc limit :count;
