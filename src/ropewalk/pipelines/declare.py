"""`@step` and `@pipeline`: marks on ordinary functions, which stay ordinary functions."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, overload

from ropewalk.errors import Invalid

P = ParamSpec("P")
R = TypeVar("R")

STEP_MARK = "__ropewalk_step__"
PIPELINE_MARK = "__ropewalk_pipeline__"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """How a step is run; none of it changes what the step gives, `reads` apart.

    Attributes:
        retries: how often it is tried again after a failure.
        timeout_seconds: after so long an attempt is killed; None for never.
        backoff_seconds: wait before the first retry; doubles with each, 60 s at most.
        reads: files, folders or patterns, relative to the project, and `env:NAME`, whose content counts as an input.
        cache: whether an outcome of an earlier run may be used.
    """

    retries: int = 0
    timeout_seconds: float | None = None
    backoff_seconds: float = 0.5
    reads: tuple[str, ...] = ()
    cache: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineOptions:
    """What is said of a pipeline besides its body.

    Attributes:
        schedule: five cron fields, or `every 15m`; empty for by hand.
        trigger: what else starts it and how, in the words of `[[schedules]]` in `ropewalk.toml`: `timezone`,
            `overlap`, `catch_up`, `jitter`, `start`, `end`, `files`, `query`, `database`, `event`, `match`, `webhook`.
    """

    schedule: str = ""
    trigger: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Trigger(TypedDict, total=False):
    """What starts a pipeline besides cron fields, and how; the same words as `[[schedules]]` in `ropewalk.toml`.

    Attributes:
        timezone: IANA zone that cron fields and dates are in; UTC when left out.
        overlap: what happens to a start that is due while the one before it runs.
        catch_up: which of the starts that were missed while nothing ran are made up for.
        jitter: each start waits up to so long, always the same for the same start.
        start: no start before this date or time.
        end: no start from this date or time on.
        files: start when files of these patterns arrive or change.
        query: start when the first value that this SQL gives changes.
        database: the SQLite file of the query, relative to the project.
        event: start when an event of this kind is written, such as `model_version.created`.
        match: what the event's body has to hold.
        webhook: start when somebody posts to `/api/v1/triggers/NAME`.
    """

    timezone: str
    overlap: Literal["skip", "queue", "cancel-running"]
    catch_up: Literal["last", "all", "none"]
    jitter: str
    start: str
    end: str
    files: str | list[str] | tuple[str, ...]
    query: str
    database: str
    event: str
    match: dict[str, str | int | float | bool]
    webhook: bool


class Recorder(Protocol):
    """Takes a step's call instead of running it."""

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - a placeholder for any result
        """Note the call; return what stands for its result."""
        ...


RECORDER: ContextVar[Recorder | None] = ContextVar("ropewalk_recorder", default=None)


@overload
def step(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def step(
    *,
    retries: int = 0,
    timeout: float | str | None = None,
    backoff: float | str = 0.5,
    reads: str | list[str] | tuple[str, ...] = (),
    cache: bool = True,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def step(
    function: Callable[P, R] | None = None,
    /,
    *,
    retries: int = 0,
    timeout: float | str | None = None,
    backoff: float | str = 0.5,
    reads: str | list[str] | tuple[str, ...] = (),
    cache: bool = True,
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a step: `@step` or `@step(retries=2, timeout="1h", reads=["prices.csv"])`.

    Called by itself it is the function it was. Called in a `@pipeline` that `ropewalk run` or `ropewalk plan` records,
    it gives a placeholder that other steps take as an argument, alone or in lists, tuples and dicts.

    Args:
        function: the function, when the decorator has no brackets.
        retries: how often it is tried again after a failure.
        timeout: seconds, or text such as `90s`, `15m`, `1h`; the attempt's process is killed then.
        backoff: wait before the first retry, written like `timeout`; doubles with each.
        reads: files, folders or patterns, relative to the project, and environment variables (`env:REGION`) that the
            step reads: when what they hold changes, the step runs again.
        cache: False lets it run in each new run; use it for a step that asks the outside world.

    Raises:
        Invalid: a duration cannot be read, a number is negative, or the function is asynchronous or a generator.
    """
    if retries < 0:
        raise Invalid("step-option", "A step cannot be retried less than never.", why=f"found retries={retries}")
    options = StepOptions(
        retries=retries,
        timeout_seconds=None if timeout is None else seconds(timeout),
        backoff_seconds=seconds(backoff),
        reads=(reads,) if isinstance(reads, str) else tuple(reads),
        cache=cache,
    )
    if function is None:
        return lambda inner: _mark_step(inner, options)
    return _mark_step(function, options)


def _mark_step(function: Callable[P, R], options: StepOptions) -> Callable[P, R]:
    _plain(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        recorder = RECORDER.get()
        if recorder is None:
            return function(*args, **kwargs)
        return recorder.call(call, args, kwargs)

    setattr(call, STEP_MARK, options)
    return call


@overload
def pipeline(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def pipeline(*, schedule: str = "", **trigger: Unpack[Trigger]) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def pipeline(
    function: Callable[P, R] | None = None, /, *, schedule: str = "", **trigger: Unpack[Trigger]
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a pipeline: an ordinary function whose body calls steps.

    Its parameters become the arguments of `ropewalk run`. Its body runs once, before any step, to record the graph;
    loops and branches over the parameters are ordinary, over results of steps they are not possible.

    Args:
        function: the function, when the decorator has no brackets.
        schedule: five cron fields, such as `0 6 * * *`, or `every 15m`. `ropewalk up` starts it then, and `ropewalk
            schedule` shows when. It is read from the source, so write it as it is: text, numbers, lists, names of such.
        trigger: what else starts it, and how; see `Trigger` and docs/guides/schedules.md.

    Raises:
        Invalid: the function is asynchronous or a generator, or a word of the schedule is unknown.
    """
    unknown = sorted(set(trigger) - set(Trigger.__annotations__))
    if unknown:
        raise Invalid(
            "step-option",
            f"A pipeline has no option {unknown[0]!r}.",
            why=f"it takes schedule, {', '.join(Trigger.__annotations__)}",
            fix='write it like @pipeline(schedule="0 6 * * *", timezone="Europe/Berlin")',
        )
    options = PipelineOptions(schedule=schedule, trigger=dict(trigger))

    def mark(inner: Callable[P, R]) -> Callable[P, R]:
        _plain(inner)
        setattr(inner, PIPELINE_MARK, options)
        return inner

    return mark if function is None else mark(function)


def _plain(function: Callable[..., object]) -> None:
    asynchronous = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    if asynchronous or inspect.isgeneratorfunction(function):
        code = function.__code__
        raise Invalid(
            "step-not-plain",
            f"{function.__qualname__} cannot be a step or a pipeline.",
            where=f"{code.co_filename}:{code.co_firstlineno}",
            why=f"it is {'asynchronous' if asynchronous else 'a generator'}; what it gives cannot be kept",
            fix="make it an ordinary function that returns its result",
        )


def seconds(text: float | str) -> float:
    """Return a duration in seconds: `0.5`, `90`, `90s`, `15m`, `1h`, `2d`.

    Raises:
        Invalid: it is none of these, or not above zero.
    """
    found = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    value = float(text) if not isinstance(text, str) else float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < value < float("inf"):
        raise Invalid(
            "duration-unreadable",
            "This is not a duration.",
            why=f"wanted a number above zero with s, m, h or d, found {text!r}",
            fix='write it like "90s", "15m" or "1h"',
        )
    return value


def options_of(function: object) -> StepOptions | None:
    """Return a step's options, or None when the object is no step."""
    found = getattr(function, "__dict__", {}).get(STEP_MARK)
    return found if isinstance(found, StepOptions) else None
