"""A release as it is exported: its bundle, how it is asked, and what `ropewalk.toml` says of its containers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk import __version__
from ropewalk.deploy import Deploy
from ropewalk.endpoints.served import Served, read_served
from ropewalk.endpoints.server import DRAIN_SECONDS_MAX
from ropewalk.errors import Conflict, NotFound
from ropewalk.exports.names import KUBERNETES
from ropewalk.exports.render import printable
from ropewalk.models.manifest import Manifest, read_manifest
from ropewalk.refs import PREFIX
from ropewalk.releases import release as releases
from ropewalk.releases import traffic
from ropewalk.releases.bundle import Bundle, read_bundle
from ropewalk.releases.release import LIVE, RETIRED, Release
from ropewalk.settings import Serve, Settings
from ropewalk.site import Site

TAG_LETTERS = 12
# What a container is given beside the time that answers under way may take: for those who still send to it.
LEAVE_SECONDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What is written out.

    Attributes:
        release: the release.
        bundle: its bundle.
        manifest: its model's.
        served: what it serves, with a real row.
        endpoint: by which name it answers.
        deploy: `[deploy]` of `ropewalk.toml`.
        serve: `[serve]` of it.
        allowed: globals that the model may import besides the defaults.
        image: the image, with a tag or a digest.
        command: what makes the files anew.
    """

    release: Release
    bundle: Bundle
    manifest: Manifest
    served: Served
    endpoint: str
    deploy: Deploy
    serve: Serve
    allowed: tuple[str, ...]
    image: str
    command: str

    @property
    def name(self) -> str:
        """The endpoint's name as Kubernetes, Compose, Nginx and file names take it."""
        return KUBERNETES.made(self.endpoint)

    @property
    def leave_seconds(self) -> int:
        """How long it may take to leave, in seconds."""
        return DRAIN_SECONDS_MAX + LEAVE_SECONDS

    @property
    def deadline_seconds(self) -> int:
        """How long a proxy waits for an answer: longer than the endpoint, which says itself that it was too late."""
        return int(self.serve.deadline_ms // 1000) + 2

    @property
    def body_bytes_max(self) -> int:
        """The largest body."""
        return self.serve.body_bytes_max

    @property
    def row(self) -> str:
        """A body that asks for one prediction, as JSON."""
        return json.dumps({"records": [self.served.example]}, ensure_ascii=True, allow_nan=False)

    def header(self) -> tuple[str, ...]:
        """Return the lines of a file's beginning."""
        lines = (
            f"Made by Ropewalk {__version__} from release {self.release.id}, bundle {self.release.bundle}.",
            "Do not edit; make it anew:",
            f"  {self.command}",
            "Add --dry-run to the command to be told how it would differ from what lies here.",
        )
        return tuple(printable(line) for line in lines)

    def facts(self) -> Mapping[str, Any]:
        """Return what every template may say."""
        return {"it": self, "header": self.header(), "release": self.release.id, "digest": self.release.bundle}


def read(site: Site, settings: Settings, wanted: str, environment: str, *, image: str, command: str) -> Released:
    """Return a release as it is to be written out; every part of its bundle is verified.

    Args:
        site: the project.
        settings: of the project.
        wanted: `NAME/NUMBER`; empty for what is live in the environment.
        environment: whose live release is meant, where none is named.
        image: `REGISTRY/NAME:TAG` or with a digest; empty for one made from `[deploy]` and the release.
        command: what makes the files anew; the release is added.

    Raises:
        NotFound: there is no such release, or none is live.
        Conflict: it has not walked the whole line.
        Corrupt: a part is not what was recorded.
    """
    with site.db.read() as rows:
        found = releases.get(rows, wanted or _live(rows, settings.model_name, environment))
    if found.state not in (LIVE, RETIRED):
        raise Conflict(
            "export-unreleased",
            f"The release is {found.state}: it has not walked the whole line.",
            where=f"release {found.id}",
            why="what is exported answers elsewhere, without the gates and without a way back",
            fix="ropewalk status",
        )
    bundle = read_bundle(site.blobs, found.bundle)
    deploy = settings.deploy
    return Released(
        release=found,
        bundle=bundle,
        manifest=read_manifest(site.blobs, bundle.manifest),
        served=read_served(site.blobs, found.id, found.bundle, found.environment),
        endpoint=traffic.endpoint_name(found.name, found.environment),
        deploy=deploy,
        serve=settings.serve,
        allowed=settings.scan.globals,
        image=image or f"{deploy.image or KUBERNETES.made(found.name)}:{_tag(found)}",
        command=f"{command} {found.id}",
    )


def _tag(found: Release) -> str:
    return f"{found.number}-{found.bundle.removeprefix(PREFIX)[:TAG_LETTERS]}"


def _live(rows: Any, model: str, environment: str) -> str:  # noqa: ANN401 - a Reader
    now = traffic.current(rows, traffic.endpoint_name(model, environment))
    if now is None or not now.champion:
        raise NotFound(
            "release-not-found",
            f"Nothing of {model} is live in {environment}.",
            where=f"environment {environment}",
            fix="ropewalk ship, or name a release: ropewalk export TARGET NAME/NUMBER",
        )
    return now.champion
