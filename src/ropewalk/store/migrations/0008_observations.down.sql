drop table alerts;
drop table monitor_windows;
drop table labels;
