drop table rollout_decisions;
drop table rollouts;
drop table traffic;
drop table approvals;
drop table release_trees;
drop table release_stages;
drop table releases;
