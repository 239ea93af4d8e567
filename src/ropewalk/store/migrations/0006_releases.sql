-- A release: one bundle on its walk through the nine stages towards one environment.
create table releases (
    id text primary key,
    name text not null,
    number integer not null,
    environment text not null,
    model text not null,
    version integer not null,
    manifest text not null,
    intent text not null,
    bundle text not null,
    author text not null,
    state text not null,
    error text not null,
    created_us integer not null,
    ended_us integer,
    schema_state text not null,
    host text not null,
    boot text not null,
    pid integer not null,
    born integer not null,
    expires_us integer not null,
    fence integer not null,
    unique (name, number)
);
create index releases_by_state on releases (state);
create index releases_by_bundle on releases (bundle);

-- What each stage found; a stage has one row per attempt, and only a failed attempt may be followed by another.
create table release_stages (
    release text not null references releases (id),
    stage text not null,
    attempt integer not null,
    state text not null,
    summary text not null,
    evidence text not null,
    started_us integer not null,
    ended_us integer not null,
    primary key (release, stage, attempt)
);

-- Which bundles stand in the dev tree and which in the release tree: the same digest, never a copy.
create table release_trees (
    tree text not null,
    release text not null references releases (id),
    bundle text not null,
    actor text not null,
    at_us integer not null,
    primary key (tree, release)
);

-- Who said yes or no to which bundle on which evidence for which environment.
create table approvals (
    release text not null references releases (id),
    environment text not null,
    bundle text not null,
    evidence text not null,
    actor text not null,
    verdict text not null,
    note text not null,
    at_us integer not null,
    primary key (release, evidence, actor)
);

-- Who answers at an endpoint: append-only, the highest generation counts.
create table traffic (
    endpoint text not null,
    generation integer not null,
    at_us integer not null,
    actor text not null,
    champion text not null,
    canary text not null,
    canary_weight_bp integer not null,
    shadow text not null,
    previous text not null,
    salt text not null,
    reason text not null,
    primary key (endpoint, generation)
);

-- A candidate on its way up, and every decision that was made about it.
create table rollouts (
    release text primary key references releases (id),
    endpoint text not null,
    champion text not null,
    state text not null,
    step integer not null,
    plan text not null,
    begun_us integer not null,
    step_us integer not null,
    begun_generation integer not null,
    ended_us integer,
    decided integer not null
);
create index rollouts_by_state on rollouts (state);
create table rollout_decisions (
    release text not null references rollouts (release),
    seq integer not null,
    at_us integer not null,
    step integer not null,
    weight_bp integer not null,
    decision text not null,
    evidence text not null,
    reason text not null,
    primary key (release, seq)
);
