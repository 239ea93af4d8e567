drop table sinks;
drop index stream_messages_unpublished;
drop index stream_messages_by_state;
drop table stream_messages;
drop table streams;
drop table segment_leavings;
