-- name: insert
insert into sweeps (run_id, key, pipeline, space, method, trials, seed, goal, parallel, failures_max)
values (:run_id, :key, :pipeline, :space, :method, :trials, :seed, :goal, :parallel, :failures_max);
-- name: go_on
update sweeps set parallel = :parallel, failures_max = :failures_max where run_id = :run_id;
-- name: get
select run_id, key, pipeline, space, method, trials, seed, goal, parallel, failures_max from sweeps
where run_id = :run_id;
-- name: interrupted
select s.run_id from sweeps s join runs r on r.id = s.run_id
where s.key = :key and r.state = 'interrupted' and r.deleted_us is null order by s.run_id desc limit 1;
-- name: count_of_pipeline
select count(*) as sweeps from sweeps where pipeline = :pipeline;
-- name: trial_insert
insert into trials (sweep, number, args, state, run, value, error, at_us)
values (:sweep, :number, :args, 'waiting', '', null, '', :at_us);
-- name: trial
select sweep, number, args, state, run, value, error, at_us from trials where sweep = :sweep and number = :number;
-- name: trial_move
update trials set state = :state, run = :run, value = :value, error = :error, at_us = :at_us
where sweep = :sweep and number = :number and state = :before;
-- name: next
select sweep, number, args, state, run, value, error, at_us from trials
where sweep = :sweep and state = 'waiting' and number > :after order by number limit 1;
-- name: of_state
select sweep, number, args, state, run, value, error, at_us from trials
where sweep = :sweep and state = :state order by number;
-- name: page
select sweep, number, args, state, run, value, error, at_us from trials
where sweep = :sweep and number > :after order by number limit :count;
-- name: counts
select state, count(*) as trials from trials where sweep = :sweep group by state;
-- name: best_highest
select sweep, number, args, state, run, value, error, at_us from trials
where sweep = :sweep and value is not null order by value desc, number limit :count;
-- name: best_lowest
select sweep, number, args, state, run, value, error, at_us from trials
where sweep = :sweep and value is not null order by value, number limit :count;
