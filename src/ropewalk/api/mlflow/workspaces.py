"""Routes of workspaces: who is known sees those that he may read; the host's administrators make and change them."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from ropewalk.access.roles import KNOWN, READ, Caller
from ropewalk.api.mlflow.message import Message, Nothing
from ropewalk.api.mlflow.route import CALLER, Call, How, Route
from ropewalk.api.resting import held
from ropewalk.errors import Conflict, Invalid, Missing
from ropewalk.store.database import Reader, Transaction
from ropewalk.workspaces import workspace as workspaces
from ropewalk.workspaces.names import DEFAULT, require_name
from ropewalk.workspaces.workspace import DELETED, OPEN, Workspace

MODES = ("RESTRICT", "CASCADE", "SET_DEFAULT")
OWN_DESCRIPTION = "The server's own project."


class Archival(Message, frozen=True, kw_only=True):
    """Where MLflow's server would put old traces."""

    location: str | UnsetType = UNSET
    retention: str | UnsetType = UNSET


class Wish(Message, frozen=True, kw_only=True):
    """What a workspace is to be."""

    name: str = ""
    description: str | UnsetType = UNSET
    default_artifact_root: str | UnsetType = UNSET
    trace_archival_config: Archival | UnsetType = UNSET


class Mode(Message, frozen=True, kw_only=True):
    """What becomes of what a workspace holds."""

    mode: str = MODES[0]


class WorkspaceWord(Message, frozen=True, kw_only=True):
    """One workspace."""

    name: str
    description: str | UnsetType = UNSET


class Answer(Message, frozen=True, kw_only=True):
    """An answer with one workspace."""

    workspace: WorkspaceWord


class ListAnswer(Message, frozen=True, kw_only=True):
    """An answer with workspaces."""

    workspaces: list[WorkspaceWord] = []


def readable(caller: Caller | None, name: str, host: str) -> bool:
    """Say whether a caller may read anything in a workspace, whatever its environment."""
    if caller is None:
        return True
    own = (DEFAULT, host)
    return caller.inside(*(own if name in own else (name,))).may_anywhere(READ)


def list_all(reader: Reader, call: Call) -> ListAnswer:
    """List the workspaces that the caller may read."""
    found = [one for one in workspaces.listed(reader) if one.state == OPEN and _readable(call, one.name)]
    return ListAnswer(workspaces=[_word(one) for one in found])


def get(reader: Reader, call: Call) -> Answer:
    """Return a workspace that the caller may read."""
    name = _named(call)
    found = workspaces.find(reader, name)
    if found is None or found.state != OPEN or not _readable(call, name):
        raise workspaces.missing(name)
    return Answer(workspace=_word(found))


def create(tx: Transaction, call: Call) -> Answer:
    """Make a workspace."""
    asked: Wish = call.body
    _require_plain(asked)
    text = "" if asked.description is UNSET else asked.description
    made = workspaces.add(tx, call.site, asked.name, description=text, host=call.house.settings.name)
    return Answer(workspace=_word(made))


def update(tx: Transaction, call: Call) -> Answer:
    """Say anew what a workspace is for."""
    asked: Wish = call.body
    _require_plain(asked)
    name = _named(call)
    if asked.description is UNSET:
        raise Invalid(
            "request-malformed",
            "Workspace update must have at least one key.",
            where=name,
            why="`description` is missing",
        )
    return Answer(workspace=_word(workspaces.describe(tx, call.site, name, asked.description)))


def delete(call: Call) -> Nothing:
    """Delete a workspace; what it held stays in its folder until an administrator purges it."""
    name, mode = _named(call), call.body.mode
    if mode not in MODES:
        raise Invalid(
            "workspace-mode-unknown", "There is no such mode.", where="mode", why=f"the modes are {', '.join(MODES)}"
        )
    if mode == MODES[2] and name != DEFAULT:
        raise Missing(
            "not-offered",
            "What a workspace holds is not moved into another one.",
            where="mode=SET_DEFAULT",
            why="each has rows, files and a ledger of its own",
            fix="ropewalk export mlflow and ropewalk import mlflow, then mode=CASCADE",
        )
    with call.site.db.read() as rows:
        found = workspaces.find(rows, name)
    if found is not None and mode == MODES[0] and name != DEFAULT:
        require_empty(name, held(call.site.root, found))
    call.site.db.write(lambda tx: workspaces.move(tx, call.site, name, DELETED))
    return Nothing()


def require_empty(name: str, holding: dict[str, int]) -> None:
    """Pass only a workspace that holds nothing.

    Raises:
        Conflict: it does.
    """
    if holding:
        raise Conflict(
            "workspace-not-empty",
            f"Workspace {name!r} still holds something.",
            where=name,
            why=", ".join(f"{count:,} {what}" for what, count in holding.items()),
            fix=f"ropewalk workspace delete {name} --with-contents, which restore takes back",
        )


def _readable(call: Call, name: str) -> bool:
    return readable(call.scope.get(CALLER), name, call.house.settings.name)


def _named(call: Call) -> str:
    name = call.path["workspace_name"]
    if name != DEFAULT:
        require_name(name)
    return name


def _word(found: Workspace) -> WorkspaceWord:
    text = found.description or (OWN_DESCRIPTION if found.name == DEFAULT else "")
    return WorkspaceWord(name=found.name, description=text or UNSET)


def _require_plain(asked: Wish) -> None:
    """Pass only what is not asked to lie somewhere else: the server alone says where bytes are."""
    said = asked.trace_archival_config
    archival = said is not UNSET and (bool(said.location) or bool(said.retention))
    if asked.default_artifact_root or archival:
        raise Missing(
            "not-offered",
            "A workspace's files lie where the server keeps them.",
            where="default_artifact_root, trace_archival_config",
            why="no address that a client gives is ever opened by the server",
            fix="leave it out; [blobs] url of the server's ropewalk.toml says where bytes go",
        )


def _row(method: str, path: str, work: Any, how: How, **more: Any) -> Route:  # noqa: ANN401 - a line of a table
    summary = str(work.__doc__).partition("\n")[0].removesuffix(".")
    return Route(method=method, path=path, work=work, how=how, versions=("3.0",), summary=summary, **more)


_AT = "/mlflow/workspaces"
_ONE = f"{_AT}/{{workspace_name}}"
ROUTES = (
    _row("GET", _AT, list_all, How.READ, body=Nothing, result=ListAnswer, action=KNOWN),
    _row("POST", _AT, create, How.WRITE, body=Wish, result=Answer, action="admin", status=201),
    _row("GET", _ONE, get, How.READ, body=Nothing, result=Answer, action=KNOWN),
    _row("PATCH", _ONE, update, How.WRITE, body=Wish, result=Answer, action="admin"),
    _row("DELETE", _ONE, delete, How.PLAIN, body=Mode, result=Nothing, action="admin", status=204),
)
