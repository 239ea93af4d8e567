-- Scoring of a whole file or table. `key` is everything by which the same command is the same batch: rows, release, output.
-- `id` is a UUID whose last 40 bits are zero: the id of row N's prediction is the batch's with N there.
create table batches (
    id text primary key,
    key text not null,
    release text not null,
    bundle text not null,
    environment text not null,
    source text not null,
    survey text not null,
    target text not null,
    policy text not null,
    state text not null,
    cancel integer not null,
    rows bigint not null,
    scored bigint not null,
    aside bigint not null,
    output text not null,
    note text not null,
    actor text not null,
    host text not null,
    boot text not null,
    pid bigint not null,
    born bigint not null,
    expires_us bigint not null,
    fence bigint not null,
    begun_us bigint not null,
    at_us bigint not null
);
create index batches_by_key on batches (key, id);
create index batches_open on batches (id) where state in ('waiting', 'running');
create index batches_failed on batches (at_us) where state = 'failed';

-- A piece of a batch that is scored and lies complete on the disk, under the digest of its bytes.
create table batch_parts (
    batch text not null references batches (id),
    number bigint not null,
    rows bigint not null,
    aside bigint not null,
    digest text not null,
    set_aside text not null,
    primary key (batch, number)
);
