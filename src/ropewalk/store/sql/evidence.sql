-- name: runs
select id, pipeline, args, code, commit_sha, dirty, environment from runs;
-- name: run_names
select id, name from runs;
-- name: run_states
select id, state from runs;
-- name: run_numbers
select id, number from runs where state not in ('running', 'scheduled');
-- name: run_codes
select distinct code from runs where code <> '';
-- name: experiments
select cast(id as text) as id, name, state, location from experiments
where id <> 0 or updated_us <> 0 or name <> 'Default' or state <> 'active' or location <> 'mlflow-artifacts:/0';
-- name: outcomes
select key, digest as value from outcomes;
-- name: outcome_values
select key, value, digest, entries from outcomes order by key;
-- name: snapshots
select run_id as run, node, name, digest as id, rows, columns from snapshots;
-- name: registered_models
select id as model, name, case when deleted_us is null then 0 else 1 end as deleted from registered_models;
-- name: models
select registered_as || '/' || version as id, model, manifest, run_id as run, source, author as actor
from model_versions;
-- name: model_states
select model, version, stage, case when deleted_us is null then 0 else 1 end as deleted from model_versions;
-- name: model_tags
select model, 0 as version, key, value from registered_model_tags
union all select model, version, key, value from model_version_tags;
-- name: aliases
select model, alias, seq, version, actor from model_aliases;
-- name: manifests
select distinct manifest from model_versions where manifest <> '' order by manifest;
-- name: releases
select id, model || '/' || version as model, manifest, environment, intent, author as actor from releases;
-- name: trees
select tree, release, bundle, actor from release_trees;
-- name: bundles
select id, bundle from releases where bundle <> '' order by id;
-- name: release_states
select id, state from releases;
-- name: stages
select release as id, stage, attempt, state, summary, evidence from release_stages;
-- name: approvals
select release as id, evidence, actor, verdict, bundle, environment, note from approvals;
-- name: traffic
select endpoint, generation, champion, canary, canary_weight_bp, shadow, previous, salt, reason, actor from traffic;
-- name: decisions
select release as id, seq, decision, step, weight_bp, evidence, reason from rollout_decisions;
-- name: designs
select release as id, design from rollouts where design <> '';
-- name: segments
select digest, endpoint, path, rows, bytes, first_id, last_id, first_us, last_us, event_first_us, event_last_us, sealed_us
from segments;
-- name: segment_leavings
select path from segment_leavings;
-- name: segment_files
select digest, path from segments order by path;
-- name: label_batches
select distinct batch from labels order by batch;
-- name: label_times
select prediction, key, known_us, at_us from labels where batch = :batch;
-- name: report_batches
select distinct batch from reports order by batch;
-- name: report_times
select prediction, '' as key, known_us, at_us from reports where batch = :batch;
-- name: alerts
select id, endpoint, monitor, release, window_us, reading, reason, evidence from alerts;
-- name: alert_states
select id, state from alerts;
-- name: alerts_closed
select id, closed_why as why, closed_evidence as evidence from alerts where state = 'closed';
-- name: alerts_retrained
select id, run from alerts where run <> '';
-- name: artifacts
select run_id, key, value from run_values where kind in ('artifact', 'model') order by run_id, key;
-- name: stage_evidence
select release, stage, evidence from release_stages order by release, stage, attempt;
-- name: users
select name, kind, state from users;
-- name: roles
select user_name, role, project, environment from user_roles;
-- name: tokens
select id, user_name, note, role, project, environment, expires_us,
    case when revoked_us is null then 0 else 1 end as revoked
from tokens;
-- name: hooks
select id, name, url, status, case when secret is null then 0 else 1 end as signed from webhooks
where deleted_us is null;
-- name: hook_events
select webhook, entity, action from webhook_events order by entity, action;
-- name: logged
select id, experiment, name, source_run, status, case when deleted_us is null then 0 else 1 end as deleted
from logged_models;
-- name: logged_tags
select m.id, t.key, t.value from logged_model_tags t join logged_models m on m.number = t.model;
-- name: fires
select id, schedule, key, cause, due_us, args, told, backfill from fires;
-- name: fire_states
select id, run, case when state in ('waiting', 'running') then 'open' else state end as state,
    case when state in ('waiting', 'running') then '' else note end as note
from fires;
-- name: fire_intervals
select id, actor as by, from_us, until_us from fires;
-- name: backfills
select id, schedule, from_us, until_us, parallel from backfills;
-- name: backfill_states
select id, state from backfills;
-- name: sweeps
select run_id as id, pipeline, key, method, trials, seed, goal, space from sweeps;
-- name: trials
select sweep, number, state, run, value, error from trials where state <> 'waiting' or run <> '';
-- name: trial_args
select sweep, number, args from trials;
-- name: traffic_of_release
select endpoint, generation, at_us, champion, canary, canary_weight_bp, shadow, previous
from traffic where endpoint in (
    select endpoint from traffic where champion = :release or canary = :release or shadow = :release
) order by endpoint, generation;
