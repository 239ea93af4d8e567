"""How a gRPC call that predicts nothing is said over HTTP, and what of the answer becomes its message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ropewalk.endpoints.rpcmessages import CONFIGURED
from ropewalk.errors import Invalid

OK, NOT_FOUND, NOT_READY = 200, 404, 503


def segment(name: str) -> str:
    """Return a name as a piece of a path.

    Raises:
        Invalid: it could not be one.
    """
    if name and len(name) <= 128 and name.isascii() and name.isprintable() and not set(name) & set("/?#% "):  # noqa: PLR2004
        return name
    raise Invalid(
        "request-malformed", "This is not the name of a model.", where="model_name", why=f"found {name[:80]!r}"
    )


class Look:
    """How a call that only looks is said over HTTP.

    Args:
        address: from the message to verb, path and body.
        members: from status and JSON to the response's members.
        expected: statuses that are an answer.
    """

    def __init__(
        self,
        address: Callable[[Any], tuple[str, str, bytes]],
        members: Callable[[int, Any], dict[str, Any]],
        *expected: int,
    ) -> None:
        self.address = address
        self.members = members
        self.expected = expected or (OK,)


def _model(what: str) -> Callable[[Any], tuple[str, str, bytes]]:
    def address(asked: Any) -> tuple[str, str, bytes]:  # noqa: ANN401 - a message
        path = f"/v2/models/{segment(asked.name)}"
        return "GET", path + (f"/versions/{segment(asked.version)}" if asked.version else "") + what, b""

    return address


def _stats(asked: Any) -> tuple[str, str, bytes]:  # noqa: ANN401 - a message
    return _model("/stats")(asked) if asked.name else ("GET", "/v2/models/stats", b"")


def _index(asked: Any) -> tuple[str, str, bytes]:  # noqa: ANN401 - a message
    return "POST", "/v2/repository/index", msgspec.json.encode({"ready": asked.ready})


def _change(verb: str) -> Callable[[Any], tuple[str, str, bytes]]:
    return lambda asked: ("POST", f"/v2/repository/models/{segment(asked.model_name)}/{verb}", b"")


def _fixed(path: str) -> Callable[[Any], tuple[str, str, bytes]]:
    return lambda _: ("GET", path, b"")


def _same(_status: int, said: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON of ours
    return said


def _ready(status: int, _said: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON of ours
    return {"ready": status == OK}


def _configured(_status: int, said: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON of ours
    def numbered(tensors: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**one, "data_type": CONFIGURED.get(one["data_type"], 0)} for one in tensors]

    return {"config": {**said, "input": numbered(said["input"]), "output": numbered(said["output"])}}


LOOKS = {
    "ServerLive": Look(_fixed("/v2/health/live"), lambda status, _: {"live": status == OK}),
    "ServerReady": Look(_fixed("/v2/health/ready"), _ready, OK, NOT_READY),
    "ServerMetadata": Look(_fixed("/v2"), _same),
    "ModelReady": Look(_model("/ready"), _ready, OK, NOT_FOUND, NOT_READY),
    "ModelMetadata": Look(_model(""), _same),
    "ModelConfig": Look(_model("/config"), _configured),
    "ModelStatistics": Look(_stats, _same),
    "RepositoryIndex": Look(_index, lambda _, said: {"models": said}),
    "RepositoryModelLoad": Look(_change("load"), _same),
    "RepositoryModelUnload": Look(_change("unload"), _same),
}
