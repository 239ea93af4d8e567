-- name: label_insert
insert into labels (endpoint, prediction, key, value, known_us, at_us, batch)
values (:endpoint, :prediction, :key, :value, :known_us, :at_us, :batch)
on conflict (endpoint, prediction, key, known_us, batch) do nothing;
-- name: label_last
select value, known_us from labels where endpoint = :endpoint and prediction = :prediction and key = :key
    and (:key = '' or known_us = :known_us)
order by known_us desc, batch desc limit 1;
-- name: labels_of_time
select prediction, key, value, known_us, batch from labels
where endpoint = :endpoint and at_us >= :since_us and at_us < :until_us
order by known_us, batch;
-- name: labels_of_keys
select prediction, key, value, known_us, batch from labels
where endpoint = :endpoint and at_us >= :since_us and key <> ''
order by known_us, batch;
-- name: labels_of_batch
select endpoint, prediction, key, value, known_us from labels where batch = :batch order by prediction, key;
-- name: labels_count
select count(*) from labels where endpoint = :endpoint;
-- name: labels_newest
select coalesce(max(batch), 0) from labels where endpoint = :endpoint;
-- name: report_insert
insert into reports (endpoint, metric, prediction, value, known_us, at_us, batch)
values (:endpoint, :metric, :prediction, :value, :known_us, :at_us, :batch)
on conflict (endpoint, metric, prediction, known_us, batch) do nothing;
-- name: report_last
select value, known_us from reports where endpoint = :endpoint and metric = :metric and prediction = :prediction
order by known_us desc, batch desc limit 1;
-- name: reports_of_time
select prediction, value from reports
where endpoint = :endpoint and metric = :metric and at_us >= :since_us and at_us < :until_us
order by known_us, batch;
-- name: reports_of_batch
select endpoint, metric, prediction, value, known_us from reports where batch = :batch order by metric, prediction;
-- name: reports_newest
select coalesce(max(batch), 0) from reports where endpoint = :endpoint;
-- name: labels_since
select prediction, key, value, known_us from labels where endpoint = :endpoint and batch > :batch
order by known_us, batch;
-- name: reports_since
select prediction, value from reports where endpoint = :endpoint and metric = :metric and batch > :batch
order by known_us, batch;
-- name: tally_put
insert into segment_tallies (release, segment, kind, tally) values (:release, :segment, :kind, :tally)
on conflict (release, segment) do update set kind = excluded.kind, tally = excluded.tally;
-- name: tallies
select segment, kind, tally from segment_tallies where release = :release;
-- name: tallies_over
select distinct release from segment_tallies
where release in (select release from rollouts where ended_us is not null);
-- name: tallies_drop
delete from segment_tallies where release = :release;
-- name: window_put
insert into monitor_windows (endpoint, monitor, release, start_us, end_us, count, reading, low, threshold, says, at_us)
values (:endpoint, :monitor, :release, :start_us, :end_us, :count, :reading, :low, :threshold, :says, :at_us)
on conflict (endpoint, monitor, release, start_us) do update set end_us = excluded.end_us, count = excluded.count,
    reading = excluded.reading, low = excluded.low, threshold = excluded.threshold, says = excluded.says,
    at_us = excluded.at_us;
-- name: window
select endpoint, monitor, release, start_us, end_us, count, reading, low, threshold, says, at_us
from monitor_windows
where endpoint = :endpoint and monitor = :monitor and release = :release and start_us = :start_us;
-- name: sealed
select count(*) from segments where endpoint = :endpoint;
-- name: windows
select endpoint, monitor, release, start_us, end_us, count, reading, low, threshold, says, at_us
from monitor_windows where endpoint = :endpoint and monitor = :monitor
order by start_us desc, release desc limit :count;
-- name: alert_insert
insert into alerts (id, endpoint, monitor, kind, release, state, retrain, window_us, reading, threshold, reason,
    evidence, opened_us, closed_us, closed_why, closed_evidence, run)
values (:id, :endpoint, :monitor, :kind, :release, 'open', :retrain, :window_us, :reading, :threshold, :reason,
    :evidence, :opened_us, null, '', '', '');
-- name: alert_close
update alerts set state = 'closed', closed_us = :closed_us, closed_why = :why, closed_evidence = :evidence
where id = :id and state = 'open';
-- name: alert_run
update alerts set run = :run where id = :id and run = :seen;
-- name: alert
select * from alerts where id = :id;
-- name: alert_latest
select * from alerts where endpoint = :endpoint and monitor = :monitor
order by opened_us desc, window_us desc, id desc limit 1;
-- name: alerts
select * from alerts where (:endpoint = '' or endpoint = :endpoint) and (:state = '' or state = :state)
order by opened_us desc, window_us desc, id desc limit :count;
-- name: alerts_to_retrain
select * from alerts where retrain = 1 and (run = '' or run like 'starting %') order by opened_us, id;
-- name: window_last
select coalesce(max(start_us), -1) from monitor_windows
where endpoint = :endpoint and monitor = :monitor and release = :release;
-- name: window_baseline
select coalesce(min(start_us), -1) from monitor_windows
where endpoint = :endpoint and monitor = :monitor and release = :release and says = 'baseline';
