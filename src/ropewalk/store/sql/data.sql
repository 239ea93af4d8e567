-- name: insert
insert into snapshots (run_id, node, name, digest, rows, columns, bytes, schema, at_us)
values (:run_id, :node, :name, :digest, :rows, :columns, :bytes, :schema, :at_us)
on conflict (run_id, node, name) do nothing;
-- name: get
select run_id, node, name, digest, rows, columns, bytes, schema, at_us from snapshots
where run_id = :run_id and node = :node and name = :name;
-- name: first_of
select run_id, node, name, digest, rows, columns, bytes, schema, at_us from snapshots
where digest = :digest order by at_us, run_id limit 1;
-- name: of_digest
select run_id, node, name, digest, rows, columns, bytes, schema, at_us from snapshots
where digest = :digest order by at_us, run_id, node, name;
-- name: of_run
select run_id, node, name, digest, rows, columns, bytes, schema, at_us from snapshots
where run_id = :run_id order by at_us, node, name;
-- name: newest
select run_id, node, name, digest, rows, columns, bytes, schema, at_us from snapshots
order by at_us desc, run_id desc, node, name limit :count;
-- name: parent
insert into snapshot_parents (digest, parent) values (:digest, :parent) on conflict (digest, parent) do nothing;
-- name: lineage
with recursive line (digest, parent) as (
    select digest, parent from snapshot_parents where digest = :digest
    union
    select above.digest, above.parent from snapshot_parents above join line on above.digest = line.parent
)
select digest, parent from line order by digest, parent;
-- name: offspring
with recursive line (digest, parent) as (
    select digest, parent from snapshot_parents where parent = :digest
    union
    select below.digest, below.parent from snapshot_parents below join line on below.parent = line.digest
)
select digest, parent from line order by digest, parent;
