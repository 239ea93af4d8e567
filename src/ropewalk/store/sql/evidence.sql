-- name: models
select name || '/' || version as key, manifest || ' ' || run_id as value from model_versions;
-- name: aliases
select name || '@' || alias || '#' || seq as key, cast(version as text) as value from model_aliases;
-- name: trees
select tree || ' ' || release as key, bundle as value from release_trees;
-- name: bundles
select id as key, bundle as value from releases where bundle <> '';
-- name: release_states
select id as key, state as value from releases;
-- name: stages
select release || ' ' || stage || ' ' || attempt as key, state || ' ' || evidence as value from release_stages;
-- name: approvals
select release || ' ' || evidence || ' ' || actor as key, verdict || ' ' || bundle as value from approvals;
-- name: traffic
select endpoint || '#' || generation as key,
       champion || ' ' || canary || ' ' || canary_weight_bp || ' ' || shadow || ' ' || previous || ' ' || salt as value
from traffic;
-- name: decisions
select release || ' ' || seq as key, decision || ' ' || weight_bp || ' ' || evidence as value from rollout_decisions;
-- name: runs
select id as key, code || ' ' || environment || ' ' || commit_sha || ' ' || args as value from runs;
-- name: run_states
select id as key, state as value from runs;
-- name: snapshots
select run_id || ' ' || node || ' ' || name as key, digest || ' ' || rows as value from snapshots;
-- name: segments
select digest as key, path || ' ' || rows || ' ' || first_id || ' ' || last_id as value from segments;
-- name: segment_files
select digest, path from segments order by path;
