"""What every table of `ropewalk.toml` is made of, and its tables of canaries, topics and captured predictions."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Name = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of `ropewalk.toml`: an unknown key is an error that names it."""


class Canary(Part, frozen=True, kw_only=True):
    """Stage 8: the plan of weights and what the sequential tests look for.

    Attributes:
        weights: percent of traffic at each step, rising; 100 follows the last.
        alpha: chance, over all signals and looks, that a good candidate falls back.
        bake_seconds: shortest time at each weight; one for all, or one for each.
        rows_min: candidate's rows at each step before it may rise.
        labels_min: labelled rows in both arms before quality counts, where labels are wanted.
        error_increase: smallest increase of the error rate that matters (share, 0.01 = one point).
        latency_ratio: candidate's latency quantile may be this many times the champion's.
        latency_quantile: the quantile that is compared.
        latency_floor_ms: a request below this is never slow, whatever the champion needs.
        loss_increase: smallest increase of the mean loss that matters (Brier or squared error).
        wait_labels: rise past the first step only with `labels_min` labels.
        shadow: mirror champion's traffic to the candidate first and compare pairs.
        patience_seconds: without a verdict for so long it falls back; 0 waits for ever.
        harmed_max: users who may get a failed or invalid answer that the champion would not give; 0 for no budget.
        output_shift: share of the outputs that may lie elsewhere than the champion's (Kolmogorov-Smirnov); 0 for any.
        metric: name of a number that clients report of predictions, such as `revenue`; empty for none.
        metric_better: whether `higher` or `lower` is better.
        metric_loss: smallest worsening of its mean that matters, in its own unit.
        reports_min: reports in both arms before it counts; with a metric, no rise past the first step without them.
    """

    weights: tuple[Percent, ...] = (5.0, 25.0, 50.0)
    alpha: Annotated[float, Meta(gt=0, lt=0.5)] = 0.05
    rows_min: Count = 200
    labels_min: Count = 200
    error_increase: Positive = 0.005
    latency_ratio: Annotated[float, Meta(gt=1)] = 2.0
    latency_quantile: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    latency_floor_ms: Annotated[float, Meta(ge=0)] = 10.0
    loss_increase: Positive = 0.005
    wait_labels: bool = True
    shadow: bool = False
    patience_seconds: Annotated[float, Meta(ge=0)] = 0.0
    bake_seconds: tuple[Annotated[float, Meta(ge=0)], ...] = ()
    harmed_max: Count = 0
    output_shift: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    metric: str = ""
    metric_better: Literal["higher", "lower"] = "higher"
    metric_loss: Positive = 1.0
    reports_min: Count = 200


class Capture(Part, frozen=True, kw_only=True):
    """What becomes of captured predictions.

    Attributes:
        keep_days: for how many days they are kept; 0 for ever. What a canary that runs is judged by stays.
    """

    keep_days: Annotated[int, Meta(ge=0, le=36_500)] = 0


class Stream(Part, frozen=True, kw_only=True):
    """A topic whose messages are scored; each has the form of a request's body, or is one record.

    Attributes:
        name: how people call it.
        broker: `amqp://`, `redis://`, `nats://` or `kafka://HOST:PORT`, without a password: a variable named
            `ROPEWALK_STREAM_NAME` (the name in capitals, `_` for what is no letter) goes before it.
        topic: the queue, stream, subject or topic that is read.
        results: where answers are published; empty for nowhere, they are kept all the same.
        dead: where messages that cannot be scored are published too; they are kept in any case.
        endpoint: who answers; the project's model in production when empty.
        group: consumers of one group share the messages (Redis, NATS, Kafka).
        id: what makes a message the same when it comes again: empty for the broker's own position or, at RabbitMQ,
            the property `message_id`; `header:NAME` for a header; otherwise a member of the body.
        retries: how often a message that the model fails on is tried again before it is dead.
        batch: messages that are taken at once, at most.
        linger_ms: how long a batch waits for more messages.
        keep_days: for how long a message that comes again is known.
    """

    name: Name
    broker: str
    topic: str
    results: str = ""
    dead: str = ""
    endpoint: str = ""
    group: str = "ropewalk"
    id: str = ""
    retries: Annotated[int, Meta(ge=0, le=100)] = 3
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 256
    linger_ms: Annotated[float, Meta(ge=0, le=10_000)] = 20.0
    keep_days: Annotated[int, Meta(ge=1, le=3650)] = 14
