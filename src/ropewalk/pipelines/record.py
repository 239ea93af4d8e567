"""Recording: the pipeline's body is run once with placeholders, and every step's call becomes a node."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ropewalk.errors import Invalid
from ropewalk.pipelines.declare import RECORDER, options_of
from ropewalk.pipelines.fingerprint import Fingerprinter
from ropewalk.pipelines.graph import Code, Node
from ropewalk.pipelines.ownership import Ownership
from ropewalk.pipelines.placeholder import Placeholder
from ropewalk.pipelines.values import Shelf
from ropewalk.records import frozen

NODES_MAX = 100_000


@frozen
class Call:
    """A node with the function that it calls, as only this process has it.

    Attributes:
        node: what others need to know.
        function: the step.
        signature: of the function.
    """

    node: Node
    function: Callable[..., Any]
    signature: inspect.Signature

    def run(self, inputs: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever the step gives
        """Call the step with decoded inputs."""
        bound = inspect.BoundArguments(self.signature, inputs)  # pyright: ignore[reportArgumentType] - ordered is enough
        return self.function(*bound.args, **bound.kwargs)


class GraphRecorder:
    """Notes calls of steps in the order they are made.

    Args:
        shelf: keeps arguments that are not results of steps.
        owned: tells the user's files.
        fingerprinter: reads the steps' code; None where the codes are known already.
    """

    def __init__(self, shelf: Shelf, owned: Ownership, fingerprinter: Fingerprinter | None) -> None:
        self.calls: dict[str, Call] = {}
        self.codes: dict[str, Code] = {}
        self._shelf = shelf
        self._owned = owned
        self._fingerprinter = fingerprinter
        self._counts: dict[str, int] = {}
        self._known: dict[int, tuple[Callable[..., Any], inspect.Signature, str]] = {}

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Placeholder:
        """Note the call of a step; return what stands for its result.

        Raises:
            Invalid: the arguments do not fit the step, or cannot be kept.
        """
        return self._note(function, args, kwargs, over="")

    def map(self, function: Callable[..., Any], items: Any, fixed: dict[str, Any]) -> Placeholder:  # noqa: ANN401 - items or a placeholder
        """Note a call of a step for each item; return what stands for the list of results.

        Raises:
            Invalid: the arguments do not fit the step, or cannot be kept.
        """
        first = next(iter(self._facts(function)[1].parameters), "")
        listed = items if isinstance(items, Placeholder) else list(items)
        return self._note(function, (listed,), fixed, over=first)

    def _note(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, over: str
    ) -> Placeholder:
        options = options_of(function)
        assert options is not None, "only steps are recorded"
        _, signature, code = self._facts(function)
        name = str(getattr(function, "__name__", "step")).strip("<>")
        where = self._where(function)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise Invalid(
                "step-arguments", f"The step {name} cannot be called so.", where=where, why=str(error)
            ) from error
        bound.apply_defaults()
        node = Node(
            id=self._free(name),
            step=f"{function.__module__}:{function.__qualname__}",
            where=where,
            inputs={key: self._shelf.encode(value) for key, value in bound.arguments.items()},
            code=code,
            retries=options.retries,
            timeout_seconds=options.timeout_seconds,
            backoff_seconds=options.backoff_seconds,
            cache=options.cache,
            over=over,
            cpu=options.cpu,
            memory_bytes=options.memory_bytes,
            gpu=options.gpu,
            priority=options.priority,
            secrets=options.secrets,
        )
        if len(self.calls) >= NODES_MAX:
            raise Invalid("pipeline-too-large", "The pipeline calls too many steps.", why=f"the limit is {NODES_MAX:,}")
        self.calls[node.id] = Call(node=node, function=function, signature=signature)
        return Placeholder([node.id])

    def record(self, body: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Run a pipeline's body with its arguments, its steps noted and not run."""
        token = RECORDER.set(self)
        try:
            body(**arguments)
        finally:
            RECORDER.reset(token)

    def _facts(self, function: Callable[..., Any]) -> tuple[Callable[..., Any], inspect.Signature, str]:
        known = self._known.get(id(function))
        if known is None:
            digest = ""
            if self._fingerprinter is not None:
                code = self._fingerprinter.code_of(function)
                digest = code.digest
                self.codes[digest] = code
            known = (function, inspect.signature(function), digest)
            self._known[id(function)] = known
        return known

    def _free(self, name: str) -> str:
        number = self._counts[name] = self._counts.get(name, 0) + 1
        free = name if number == 1 else f"{name}-{number}"
        return free if free not in self.calls else self._free(name)

    def _where(self, function: Callable[..., Any]) -> str:
        code = inspect.unwrap(function).__code__
        return f"{code.co_filename.removeprefix(self._owned.folder)}:{code.co_firstlineno}"
