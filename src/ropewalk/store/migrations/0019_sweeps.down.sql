drop table trials;
drop table sweeps;
