-- name: insert
insert into releases (id, name, number, environment, model, version, manifest, intent, bundle, author, state, error,
    created_us, ended_us, schema_state, host, boot, pid, born, expires_us, fence)
values (:id, :name, :number, :environment, :model, :version, :manifest, :intent, '', :author, :state, '',
    :created_us, null, '', :host, :boot, :pid, :born, :expires_us, :fence);
-- name: next_number
select coalesce(max(number), 0) + 1 from releases where name = :name;
-- name: get
select * from releases where id = :id;
-- name: page
select * from releases where (:name = '' or name = :name) and (:environment = '' or environment = :environment)
order by created_us desc, id desc limit :count;
-- name: of_intent
select * from releases where name = :name and environment = :environment and intent = :intent
order by number desc limit 1;
-- name: of_bundle
select * from releases where bundle = :bundle order by created_us desc, id desc;
-- name: of_model
select id from releases where model = :model and (:version = 0 or version = :version)
order by created_us desc, id desc limit 1;
-- name: in_state
select * from releases where state = :state order by created_us, id;
-- name: with_schema_state
select * from releases where schema_state = :schema_state order by created_us desc, id desc;
-- name: set_state
update releases set state = :state, error = :error, ended_us = :ended_us where id = :id and state = :from_state;
-- name: set_bundle
update releases set bundle = :bundle where id = :id and fence = :fence;
-- name: set_schema_state
update releases set schema_state = :schema_state where id = :id;
-- name: set_lease
update releases set host = :host, boot = :boot, pid = :pid, born = :born, expires_us = :expires_us, fence = :fence
where id = :id and fence = :held;
-- name: stage_insert
insert into release_stages (release, stage, attempt, state, summary, evidence, started_us, ended_us)
values (:release, :stage, :attempt, :state, :summary, :evidence, :started_us, :ended_us);
-- name: stages
select release, stage, attempt, state, summary, evidence, started_us, ended_us from release_stages
where release = :release order by ended_us, attempt, stage;
-- name: stage_last
select release, stage, attempt, state, summary, evidence, started_us, ended_us from release_stages
where release = :release and stage = :stage order by attempt desc limit 1;
-- name: tree_insert
insert into release_trees (tree, release, bundle, actor, at_us) values (:tree, :release, :bundle, :actor, :at_us)
on conflict (tree, release) do nothing;
-- name: tree
select tree, release, bundle, actor, at_us from release_trees where tree = :tree order by at_us desc, release desc;
-- name: tree_row
select tree, release, bundle, actor, at_us from release_trees where tree = :tree and release = :release;
-- name: approval_insert
insert into approvals (release, environment, bundle, evidence, actor, verdict, note, at_us)
values (:release, :environment, :bundle, :evidence, :actor, :verdict, :note, :at_us);
-- name: approvals
select release, environment, bundle, evidence, actor, verdict, note, at_us from approvals
where release = :release order by at_us, actor;
-- name: traffic_current
select endpoint, generation, at_us, actor, champion, canary, canary_weight_bp, shadow, previous, salt, reason
from traffic where endpoint = :endpoint order by generation desc limit 1;
-- name: traffic_history
select endpoint, generation, at_us, actor, champion, canary, canary_weight_bp, shadow, previous, salt, reason
from traffic where endpoint = :endpoint order by generation desc limit :count;
-- name: traffic_at
select endpoint, generation, at_us, actor, champion, canary, canary_weight_bp, shadow, previous, salt, reason
from traffic where endpoint = :endpoint and at_us <= :at_us order by generation desc limit 1;
-- name: traffic_since
select endpoint, generation, at_us, actor, champion, canary, canary_weight_bp, shadow, previous, salt, reason
from traffic where endpoint = :endpoint and generation >= :generation order by generation;
-- name: traffic_endpoints
select distinct endpoint from traffic order by endpoint;
-- name: traffic_insert
insert into traffic (endpoint, generation, at_us, actor, champion, canary, canary_weight_bp, shadow, previous, salt, reason)
values (:endpoint, :generation, :at_us, :actor, :champion, :canary, :canary_weight_bp, :shadow, :previous, :salt, :reason);
-- name: rollout_insert
insert into rollouts (release, endpoint, champion, state, step, plan, begun_us, step_us, begun_generation, ended_us, decided, design)
values (:release, :endpoint, :champion, :state, :step, :plan, :begun_us, :begun_us, :begun_generation, null, 0, :design);
-- name: rollout
select * from rollouts where release = :release;
-- name: rollouts_active
select * from rollouts where ended_us is null order by begun_us, release;
-- name: rollouts_of
select * from rollouts where endpoint = :endpoint order by begun_us desc, release desc limit :count;
-- name: rollout_move
update rollouts set state = :state, step = :step, step_us = :step_us, ended_us = :ended_us, decided = :decided
where release = :release and decided = :seen;
-- name: decision_insert
insert into rollout_decisions (release, seq, at_us, step, weight_bp, decision, evidence, reason)
values (:release, :seq, :at_us, :step, :weight_bp, :decision, :evidence, :reason);
-- name: decisions
select release, seq, at_us, step, weight_bp, decision, evidence, reason from rollout_decisions
where release = :release order by seq;
