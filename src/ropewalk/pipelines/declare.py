"""`@step` and `@pipeline`: marks on ordinary functions, which stay ordinary functions."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Literal, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, cast, overload

from ropewalk.errors import Invalid
from ropewalk.records import frozen, made

P = ParamSpec("P")
R = TypeVar("R")

STEP_MARK = "__ropewalk_step__"
PIPELINE_MARK = "__ropewalk_pipeline__"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])i?B?|B)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}


@frozen
class StepOptions:
    """How a step is run; none of it changes what the step gives, `reads` apart.

    Attributes:
        retries: how often it is tried again after a failure.
        timeout_seconds: after so long an attempt is killed; None for never.
        backoff_seconds: wait before the first retry; doubles with each, 60 s at most.
        reads: files, folders or patterns, relative to the project, and `env:NAME`, whose content counts as an input.
        cache: whether an outcome of an earlier run may be used.
        cpu: processors that it takes.
        memory_bytes: memory that is set aside for it.
        gpu: graphics cards that it takes.
        priority: of steps that could run, the one with the highest is first.
        secrets: environment variables that are set for it alone and hidden in what it prints.
    """

    retries: int = 0
    timeout_seconds: float | None = None
    backoff_seconds: float = 0.5
    reads: tuple[str, ...] = ()
    cache: bool = True
    cpu: float = 1.0
    memory_bytes: int = 0
    gpu: int = 0
    priority: int = 0
    secrets: tuple[str, ...] = ()


@frozen
class PipelineOptions:
    """What is said of a pipeline besides its body.

    Attributes:
        schedule: five cron fields, or `every 15m`; empty for by hand.
        trigger: what else starts it and how, in the words of `[[schedules]]` in `ropewalk.toml`: `timezone`,
            `overlap`, `catch_up`, `jitter`, `start`, `end`, `files`, `query`, `database`, `event`, `match`, `webhook`.
        sweep: what `ropewalk sweep` tries when nothing is typed, in the words of its command line.
    """

    schedule: str = ""
    sweep: str | list[str] | tuple[str, ...] = ""
    trigger: Mapping[str, Any] = made(default_factory=dict[str, Any])


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

    def map(self, function: Callable[..., Any], items: Any, fixed: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
        """Note a call for each of the items; return what stands for the list of results."""
        ...


class Step(Protocol[P, R]):
    """A step: called, it is the function that it was."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, or note the call while a pipeline is recorded."""
        ...

    def map(self, items: Iterable[Any], /, **fixed: Any) -> list[R]:  # noqa: ANN401 - the other arguments
        """Call the function for each item as its first argument, all other arguments the same; return the results.

        In a pipeline the items may be what another step gives, so that nobody knows their number before, and they
        may be thousands: the whole map is one step with one row. An item that has run keeps its result, in a run that
        is killed and in later ones with more or fewer items.
        """
        ...


RECORDER: ContextVar[Recorder | None] = ContextVar("ropewalk_recorder", default=None)


class Words(TypedDict, total=False):
    """How a step is run; `retries=2, timeout="1h", reads=["prices.csv"]`.

    Attributes:
        retries: how often it is tried again after a failure.
        timeout: seconds, or text such as `90s`, `15m`, `1h`; the attempt is killed then, with all that it started.
        backoff: wait before the first retry, written like `timeout`; doubles with each, and up to a half is added by
            chance, so that steps that failed together do not come again together.
        reads: files, folders or patterns, relative to the project, and environment variables (`env:REGION`) that the
            step reads: when what they hold changes, the step runs again.
        cache: False lets it run in each new run; use it for a step that asks the outside world.
        cpu: processors that it takes while it runs; steps run beside each other as far as they have room.
        memory: bytes, or text such as `2GB`, that are set aside for it.
        gpu: graphics cards that it takes; it sees these alone.
        priority: of steps that could run, the one with the highest number is first.
        secrets: names such as `DB_PASSWORD`: set in its environment from ours, from the file that `DB_PASSWORD_FILE`
            names, or from `.ropewalk/secrets/DB_PASSWORD`, and hidden in what it prints and in its errors. No key
            holds them: a new password makes nothing run again.
    """

    retries: int
    timeout: float | str | None
    backoff: float | str
    reads: str | list[str] | tuple[str, ...]
    cache: bool
    cpu: float
    memory: int | str
    gpu: int
    priority: int
    secrets: str | list[str] | tuple[str, ...]


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(**words: Unpack[Words]) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    function: Callable[P, R] | None = None, /, **words: Unpack[Words]
) -> Step[P, R] | Callable[[Callable[P, R]], Step[P, R]]:
    """Make a function a step: `@step` or `@step(retries=2, timeout="1h", reads=["prices.csv"])`.

    Called by itself it is the function it was. Called in a `@pipeline` that `ropewalk run` or `ropewalk plan` records,
    it gives a placeholder that other steps take as an argument, alone or in lists, tuples and dicts.

    Args:
        function: the function, when the decorator has no brackets.
        words: see `Words`.

    Raises:
        Invalid: a word is unknown, a duration or a size cannot be read, a number is negative, or the function is
            asynchronous or a generator.
    """
    options = _options(words)
    if function is None:
        return lambda inner: _mark_step(inner, options)
    return _mark_step(function, options)


def _options(words: Words) -> StepOptions:
    unknown = sorted(set(words) - set(Words.__annotations__))
    if unknown:
        raise Invalid(
            "step-option",
            f"A step has no option {unknown[0]!r}.",
            why=f"it takes {', '.join(Words.__annotations__)}",
            fix='write it like @step(retries=2, timeout="1h")',
        )
    retries, cpu, gpu = words.get("retries", 0), words.get("cpu", 1), words.get("gpu", 0)
    if min(retries, cpu, gpu) < 0:
        found = f"found retries={retries}, cpu={cpu}, gpu={gpu}"
        raise Invalid("step-option", "A step cannot be retried or take less than nothing.", why=found)
    timeout, reads, secrets = words.get("timeout"), words.get("reads", ()), words.get("secrets", ())
    return StepOptions(
        retries=retries,
        timeout_seconds=None if timeout is None else seconds(timeout),
        backoff_seconds=seconds(words.get("backoff", 0.5)),
        reads=(reads,) if isinstance(reads, str) else tuple(reads),
        cache=words.get("cache", True),
        cpu=float(cpu),
        memory_bytes=size(words.get("memory", 0)),
        gpu=gpu,
        priority=words.get("priority", 0),
        secrets=(secrets,) if isinstance(secrets, str) else tuple(secrets),
    )


def _mark_step(function: Callable[P, R], options: StepOptions) -> Step[P, R]:
    _plain(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        recorder = RECORDER.get()
        if recorder is None:
            return function(*args, **kwargs)
        return recorder.call(call, args, kwargs)

    def over(items: Iterable[Any], /, **fixed: Any) -> list[R]:  # noqa: ANN401 - the other arguments
        recorder = RECORDER.get()
        if recorder is None:
            return [cast("Callable[..., R]", function)(item, **fixed) for item in items]
        return recorder.map(call, items, fixed)

    setattr(call, STEP_MARK, options)
    setattr(call, "map", over)  # noqa: B010 - functions have no such attribute by themselves
    return cast("Step[P, R]", call)


@overload
def pipeline(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def pipeline(
    *, schedule: str = "", sweep: str | list[str] | tuple[str, ...] = "", **trigger: Unpack[Trigger]
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def pipeline(
    function: Callable[P, R] | None = None,
    /,
    *,
    schedule: str = "",
    sweep: str | list[str] | tuple[str, ...] = "",
    **trigger: Unpack[Trigger],
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a pipeline: an ordinary function whose body calls steps.

    Its parameters become the arguments of `ropewalk run`. Its body runs once, before any step, to record the graph;
    loops and branches over the parameters are ordinary, over results of steps they are not possible.

    Args:
        function: the function, when the decorator has no brackets.
        schedule: five cron fields, such as `0 6 * * *`, or `every 15m`. `ropewalk up` starts it then, and `ropewalk
            schedule` shows when. It is read from the source, so write it as it is: text, numbers, lists, names of such.
        sweep: what `ropewalk sweep` tries when nothing is typed behind it, such as `depth=4,6,8 --goal loss:min`, or a
            list of such words. It is read from the source too.
        trigger: what else starts it, and how; see `Trigger` and docs/guides/schedules.md.

    Raises:
        Invalid: the function is asynchronous or a generator, or a word of the schedule is unknown.
    """
    unknown = sorted(set(trigger) - set(Trigger.__annotations__))
    if unknown:
        raise Invalid(
            "step-option",
            f"A pipeline has no option {unknown[0]!r}.",
            why=f"it takes schedule, sweep, {', '.join(Trigger.__annotations__)}",
            fix='write it like @pipeline(schedule="0 6 * * *", timezone="Europe/Berlin")',
        )
    options = PipelineOptions(schedule=schedule, trigger=dict(trigger), sweep=sweep)

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


def size(text: int | str) -> int:
    """Return bytes: `1048576`, `512MB`, `2GiB`; the letters mean powers of 1,024.

    Raises:
        Invalid: it is none of these, or below zero.
    """
    found = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    value = -1 if isinstance(text, str) else text
    if found:
        value = int(float(found[1]) * 1024 ** " KMGT".index(found[2] or " "))
    if value < 0:
        raise Invalid(
            "size-unreadable",
            "This is not a size.",
            why=f"wanted bytes, or a number with KB, MB, GB or TB, found {text!r}",
            fix='write it like "512MB" or "2GB"',
        )
    return value


def options_of(function: object) -> StepOptions | None:
    """Return a step's options, or None when the object is no step."""
    found = getattr(function, "__dict__", {}).get(STEP_MARK)
    return found if isinstance(found, StepOptions) else None
