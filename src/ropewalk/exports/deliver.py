"""The targets of releases: what each is called, what it is for, and which files it gets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Invalid
from ropewalk.exports import asked, clouds, clusters, containers, servers
from ropewalk.exports.packing import EMPTY
from ropewalk.exports.released import Released, read
from ropewalk.exports.targets import FOLDER
from ropewalk.exports.write import Written, put
from ropewalk.settings import Settings
from ropewalk.site import Site

IMAGE = "image"
IMAGE_WORDS = r"[A-Za-z0-9][A-Za-z0-9._/:@-]*"
Files = Mapping[str, "str | bytes"]
MAKERS: Mapping[str, Callable[[Bucket, Released], Files]] = {
    "bundle": containers.bundle,
    "dockerfile": containers.dockerfile,
    "compose": lambda _blobs, found: containers.compose(found, swarm=False),
    "swarm": lambda _blobs, found: containers.compose(found, swarm=True),
    "kubernetes": lambda _blobs, found: clusters.kubernetes(found),
    "helm": lambda _blobs, found: clusters.helm(found),
    "kserve": lambda _blobs, found: clusters.kserve(found),
    "sagemaker": lambda _blobs, found: clouds.sagemaker(found),
    "vertex": lambda _blobs, found: clouds.vertex(found),
    "nginx": lambda _blobs, found: servers.nginx(found),
    "systemd": servers.systemd,
    "postman": lambda _blobs, found: asked.postman(found),
    "jmeter": lambda _blobs, found: asked.jmeter(found),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for.

    Attributes:
        target: one of `MAKERS`, or `IMAGE`.
        release: `NAME/NUMBER`; empty for what is live.
        environment: where it is live.
        output: a folder, relative to the project; for an image a file. Empty for `exports/TARGET/`.
        image: `REGISTRY/NAME:TAG`, or with a digest; empty for one made from `[deploy]` and the release.
        base: for an image: what it is built upon, relative to the project.
    """

    target: str
    release: str = ""
    environment: str = "production"
    output: str = ""
    image: str = ""
    base: str = ""

    def command(self) -> str:
        """Return the command that says the same, without the release."""
        words = ["ropewalk", "export", self.target]
        for name in ("image", "base", "output"):
            value = getattr(self, name)
            words += [f"--{name}", value] if value else []
        return shlex.join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What became of an order.

    Attributes:
        found: the release.
        folder: where the files are.
        files: what became of each, by its path below the folder.
    """

    found: Released
    folder: Path
    files: Mapping[str, Written]

    @property
    def changed(self) -> bool:
        """Whether any file was not what it is to be."""
        return any(one.changed for one in self.files.values())


def read_ordered(site: Site, settings: Settings, order: Order) -> Released:
    """Return the release that an order means.

    Raises:
        NotFound: there is no such release.
        Conflict: it has not walked the line.
        Invalid: the image's name is none.
    """
    if order.image and not re.fullmatch(IMAGE_WORDS, order.image):
        raise Invalid(
            "export-image", "This is no name of an image.", where="--image", why=f"found {order.image[:80]!r}",
            fix="--image REGISTRY/NAME:TAG",
        )  # fmt: skip
    return read(site, settings, order.release, order.environment, image=order.image, command=order.command())


def deliver(site: Site, settings: Settings, order: Order, *, check: bool = False) -> Delivered:
    """Write a release out for a target, or say how what lies there differs from what would be written.

    Args:
        site: the project.
        settings: of the project.
        order: what is asked for.
        check: write nothing.

    Raises:
        NotFound: there is no such release.
        Conflict: it has not walked the line.
        Invalid: the image's name is none.
        Corrupt: a part of the release is not what was recorded.
    """
    found = read_ordered(site, settings, order)
    folder = site.root / (order.output or place(order.target, found))
    files = MAKERS[order.target](site.blobs, found)
    done = {name: put(folder / name, data, check=check) for name, data in files.items()}
    if order.target == "bundle" and not check:
        (folder / EMPTY).mkdir(exist_ok=True)
        unkept(site, order, found)
    return Delivered(found=found, folder=folder, files=done)


def unkept(site: Site, order: Order, found: Released) -> None:
    """Let git, and so the snapshots of runs, pass over what is large and can be made anew."""
    if not order.output:
        put((site.root / place(order.target, found)).parent / ".gitignore", "*\n")


def place(target: str, found: Released) -> str:
    """Return where a target's files lie, relative to the project: of bundles and images each release has its own."""
    own = f"{found.name}-{found.release.number}"
    if target == IMAGE:
        return f"{FOLDER}/{target}/{own}.tar"
    return f"{FOLDER}/{target}/{own}" if target == "bundle" else f"{FOLDER}/{target}"
