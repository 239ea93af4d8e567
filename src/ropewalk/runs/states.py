"""A run as it stands, and the table of the states that it may take."""

from __future__ import annotations

import json
from typing import Any

from ropewalk.leases import Lease, is_alive
from ropewalk.records import frozen

SCHEDULED = "scheduled"
RUNNING = "running"
INTERRUPTED = "interrupted"
FINISHED = "finished"
FAILED = "failed"
CANCELLED = "cancelled"

MOVES: dict[str, frozenset[str]] = {
    SCHEDULED: frozenset({RUNNING, FINISHED, FAILED, INTERRUPTED, CANCELLED}),
    RUNNING: frozenset({FINISHED, FAILED, INTERRUPTED, CANCELLED}),
    INTERRUPTED: frozenset({RUNNING, CANCELLED}),
    FINISHED: frozenset(),
    FAILED: frozenset(),
    CANCELLED: frozenset(),
}
# MLflow's words; `failed` and `interrupted` are both its FAILED.
STATUS_OF = {RUNNING: "RUNNING", SCHEDULED: "SCHEDULED", FINISHED: "FINISHED", CANCELLED: "KILLED"}
STATE_OF = {status: state for state, status in STATUS_OF.items()} | {"FAILED": FAILED}
KINDS = frozenset({"pipeline", "script", "sweep"})
NAME_TAG = "mlflow.runName"
PARENT_TAG = "mlflow.parentRunId"
REMOTE = "remote"  # kind of a run that a client drives over the protocol: it moves as its client says


@frozen
class Run:
    """One run as it stands now.

    Attributes:
        number: by which the rows of what it logged name it.
        id: 32 hex digits of a UUID version 7, so that ids sort by start.
        experiment: id of the experiment that it belongs to.
        name: what people call it, such as `train-7`.
        kind: `pipeline`, `script`, `sweep`, or `remote` for one that a client drives over the protocol.
        state: a key of `MOVES`.
        pipeline: what was run: `FILE.py:FUNCTION`, or the command of a script.
        args: canonical JSON of the arguments.
        code: digest of the code snapshot that ran.
        commit_sha: git commit below the code, empty where there is none.
        branch: git branch.
        author: author of the commit.
        dirty: 1 when the code differed from the commit.
        environment: digest of the environment's description.
        started_us: microseconds since the epoch.
        ended_us: microseconds since the epoch, None while it has not ended.
        error: why it failed or was interrupted, empty otherwise.
        parent: id of the run that started this one, empty for none.
        host: host name of who runs it.
        boot: boot id of that host.
        pid: process id of who runs it.
        born: start of that process in clock ticks since boot.
        expires_us: end of the lease, microseconds since the epoch.
        fence: number of the holder; results count only with the current one.
        user_name: who started it, as its client says.
        source_name: what started it: a script, a notebook.
        source_type: MLflow's kind of source, such as `LOCAL`.
        location: artifact URI.
        heartbeat_seconds: how often the client of a remote run promised to speak; 0 when it promised nothing.
        deleted_us: microseconds since the epoch, None while it is not deleted.
        reopened_us: since when more was logged after its end than the ledger has noted; None for nothing.
    """

    number: int
    id: str
    experiment: int
    name: str
    kind: str
    state: str
    pipeline: str
    args: str
    code: str
    commit_sha: str
    branch: str
    author: str
    dirty: int
    environment: str
    started_us: int
    ended_us: int | None
    error: str
    parent: str
    host: str
    boot: str
    pid: int
    born: int
    expires_us: int
    fence: int
    user_name: str
    source_name: str
    source_type: str
    location: str
    heartbeat_seconds: int
    deleted_us: int | None
    reopened_us: int | None

    @property
    def lease(self) -> Lease:
        """Who runs it, or ran it last."""
        return Lease(
            host=self.host,
            boot=self.boot,
            pid=self.pid,
            born=self.born,
            expires_us=self.expires_us,
            fence=self.fence,
        )

    @property
    def subject(self) -> str:
        """How the ledger and events name it."""
        return f"run:{self.id}"

    @property
    def over(self) -> bool:
        """Whether nothing can happen to it any more."""
        return not MOVES[self.state]

    @property
    def ended(self) -> bool:
        """Whether it has come to an end, be it one from which it may go on."""
        return self.state not in (RUNNING, SCHEDULED)

    def alive(self, now_us: int) -> bool:
        """Say whether whoever runs it still lives.

        A client's process cannot be looked at: it counts as dead only when it promised heartbeats and is silent.
        """
        if self.kind == REMOTE:
            return not self.heartbeat_seconds or now_us < self.expires_us
        return is_alive(self.lease, now_us)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments as Python values."""
        return json.loads(self.args)

    def source_tags(self) -> dict[str, str]:
        """Return the tags by which MLflow's clients know where a run came from."""
        own = {
            NAME_TAG: self.name,
            "mlflow.user": self.user_name,
            "mlflow.source.name": self.source_name,
            "mlflow.source.type": self.source_type,
            "mlflow.source.git.commit": self.commit_sha,
            "mlflow.source.git.branch": self.branch,
            PARENT_TAG: self.parent,
        }
        return {key: value for key, value in own.items() if value}
