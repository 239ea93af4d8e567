"""What a client asks first: is somebody there, which version, and what can it do; and what we do not offer."""

from __future__ import annotations

from typing import Any

import msgspec

from ropewalk.api.mlflow.message import Message
from ropewalk.api.mlflow.route import Call, How, Route
from ropewalk.endpoints.problems import Receive, Send, answer
from ropewalk.errors import Missing

# The version of MLflow whose server this one answers like; clients compare it with their own.
SPOKEN_VERSION = "3.17.2"
_TEXT = ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"))


class ServerInfo(Message, frozen=True, kw_only=True, omit_defaults=False):
    """What the server can do."""

    store_type: str = "SqlStore"
    workspaces_enabled: bool = True
    trace_archival_enabled: bool = False
    multipart_uploads_enabled: bool = True
    multipart_downloads_enabled: bool = False
    presigned_upload_run_id_supported: bool = False
    presigned_upload_model_id_supported: bool = False
    features_enabled: dict[str, bool] = msgspec.field(default_factory=lambda: {"gateway": False})


async def health(_call: Call, _receive: Receive, send: Send) -> None:
    """Say that somebody is there."""
    await answer(send, 200, b"OK", _TEXT)


async def version(_call: Call, _receive: Receive, send: Send) -> None:
    """Say which version of the protocol is spoken."""
    await answer(send, 200, SPOKEN_VERSION.encode(), _TEXT)


def server_info(_call: Call) -> ServerInfo:
    """Say what the server can do."""
    return ServerInfo()


def absent(call: Call) -> Any:  # noqa: ANN401 - never returns
    """Say by name what is not offered, so that a client can do without."""
    path = str(call.scope["path"])
    name = next(name for name in NOT_OFFERED if f"/mlflow/{name}" in path)
    raise Missing(
        "not-offered",
        f"MLflow's {name} are not offered here.",
        where=path[:200],
        why=f"Ropewalk has no {name}",
        fix="use the rest of the API: GET /openapi.json",
    )


NOT_OFFERED = (
    "gateway",
    "scorers",
    "jobs",
    "issues",
    "label-schemas",
    "prompt-optimization",
    "review-queues",
    "mcp-servers",
)
_VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ROUTES = (
    Route(method="GET", path="/health", work=health, how=How.STREAM, action="read", summary="Is it up", bare=True),
    Route(
        method="GET",
        path="/version",
        work=version,
        how=How.STREAM,
        action="read",
        summary="Version of MLflow's protocol",
        bare=True,
    ),
    Route(
        method="GET",
        path="/mlflow/server-info",
        work=server_info,
        how=How.PLAIN,
        result=ServerInfo,
        action="known",
        versions=("3.0",),
        summary="What this server can do",
    ),
    *(
        Route(
            method=verb,
            path=f"/mlflow/{name}{rest}",
            work=absent,
            how=How.PLAIN,
            action="read",
            versions=("2.0", "3.0"),
            summary=f"Not offered: {name}",
        )
        for name in NOT_OFFERED
        for rest in ("", "/{rest:rest}")
        for verb in _VERBS
    ),
)
