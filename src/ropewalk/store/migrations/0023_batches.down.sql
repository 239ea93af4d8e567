drop table batch_parts;
drop table batches;
