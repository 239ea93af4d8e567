drop table segments;
