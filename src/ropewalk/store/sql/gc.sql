-- name: named
select code as told from runs where code <> ''
union select environment from runs where environment <> ''
union select value from run_values where kind = 'model'
union select value from outcomes where value like 'sha256:%'
union select entries from outcomes where entries like 'sha256:%'
union select content from step_logs where content like 'sha256:%'
union select items from step_maps where items like 'sha256:%'
union select nodes from graph_nodes where nodes like 'sha256:%'
union select manifest from model_versions where manifest <> ''
union select manifest from releases
union select bundle from releases
union select bundle from release_trees
union select evidence from release_stages;
-- name: mentioned
select value as told from outcomes
union select entries from outcomes
union select parts from step_maps
union select bundle from approvals
union select plan from rollouts
union select design from rollouts where design <> ''
union select tally from segment_tallies
union select evidence from rollout_decisions
union select evidence from alerts
union select closed_evidence from alerts
union select body from events where body like '%sha256:%';
-- name: files
select value as told from run_values where kind <> 'model'
union select digest from snapshots
union select frames from outcomes
union select profile from datasets where profile like '%sha256:%';
-- name: artifacts
select folder, name, digest from artifacts;
-- name: parts
select p.digest from artifact_parts p join artifact_uploads u on u.id = p.upload where u.at_us >= :since_us;
-- name: ledger
select seq, at_us, actor, kind, subject, body, prev, hash, signature from ledger
where seq > :seq order by seq limit :count;
-- name: begun
select min(started_us) as begun_us from runs where state = 'running' and kind <> 'remote';
-- name: walking
select min(created_us) as begun_us from releases where state = 'walking';
-- name: old_uploads
select count(*) as uploads from artifact_uploads where at_us < :before_us;
-- name: deleted_runs
select r.number, r.id, r.name, r.location, r.experiment,
    case when r.kind <> 'remote' then 'it is a run of the project''s own, and evidence'
         when exists (select 1 from model_versions v where v.run_id = r.id and v.deleted_us is null)
             then 'a model version stands on it'
         else '' end as kept
from runs r left join experiments e on e.id = r.experiment and e.state = 'deleted' and e.updated_us < :before_us
where r.deleted_us < :before_us or e.id is not null
order by r.number;
-- name: deleted_experiments
select e.id, e.name, e.location,
    case when exists (select 1 from logged_models m join model_versions v on v.logged_model = m.id
                      where m.experiment = e.id and v.deleted_us is null)
             then 'a model version stands on one of its models' else '' end as kept
from experiments e where e.state = 'deleted' and e.updated_us < :before_us and e.id <> 0 order by e.id;
-- name: places
select location from experiments;
-- name: chosen_places
select location from experiments where id <> :id and location <> 'mlflow-artifacts:/' || cast(id as text);
-- name: models_of
select location from logged_models where experiment = :id order by number;
-- name: deleted_models
select m.number, m.id, m.name, m.location,
    case when exists (select 1 from model_versions v where v.logged_model = m.id and v.deleted_us is null)
             then 'a model version stands on it' else '' end as kept
from logged_models m where m.deleted_us < :before_us order by m.number;
-- name: trace_folders
select folder from artifact_folders where name = 'artifacts' and folder like '%/traces/tr-%' order by folder;
-- name: trace
select number from traces where id = :id;
-- name: newest_in
select max(at_us) as at_us from artifacts where folder = :folder;
-- name: model_still
select 1 as found from logged_models m where m.number = :number and m.deleted_us < :before_us
    and not exists (select 1 from model_versions v where v.logged_model = m.id and v.deleted_us is null);
-- name: run_still
select 1 as found from runs r left join experiments e on e.id = r.experiment
where r.number = :number and (r.deleted_us < :before_us or (e.state = 'deleted' and e.updated_us < :before_us))
    and not exists (select 1 from model_versions v where v.run_id = r.id and v.deleted_us is null);
-- name: experiment_still
select 1 as found from experiments e where e.id = :id and e.state = 'deleted' and e.updated_us < :before_us
    and not exists (select 1 from runs r where r.experiment = e.id)
    and not exists (select 1 from logged_models m join model_versions v on v.logged_model = m.id
                    where m.experiment = e.id and v.deleted_us is null);
-- name: run_points
delete from points where series in (select id from series where run = :number);
-- name: run_series
delete from series where run = :number;
-- name: run_latest
delete from latest where run = :number;
-- name: run_params
delete from run_params where run = :number;
-- name: run_tags
delete from run_tags where run = :number;
-- name: run_input_tags
delete from run_input_tags where run = :number;
-- name: run_inputs
delete from run_inputs where run = :number;
-- name: run_models
delete from run_models where run = :number;
-- name: run_values
delete from run_values where run_id = :id;
-- name: run_parts
delete from run_parts where run_id = :id;
-- name: run_links
delete from trace_links where target = :id;
-- name: run
delete from runs where number = :number;
-- name: model_params
delete from logged_model_params where model in (select number from logged_models where experiment = :id);
-- name: model_tags
delete from logged_model_tags where model in (select number from logged_models where experiment = :id);
-- name: model_metrics
delete from logged_model_metrics where model in (select number from logged_models where experiment = :id);
-- name: models
delete from logged_models where experiment = :id;
-- name: traces
delete from traces where experiment = :id;
-- name: datasets
delete from datasets where experiment = :id;
-- name: evaluations
delete from evaluation_experiments where experiment = :id;
-- name: experiment_tags
delete from experiment_tags where experiment = :id;
-- name: experiment
delete from experiments where id = :id;
-- name: one_params
delete from logged_model_params where model = :number;
-- name: one_tags
delete from logged_model_tags where model = :number;
-- name: one_metrics
delete from logged_model_metrics where model = :number;
-- name: one
delete from logged_models where number = :number;
