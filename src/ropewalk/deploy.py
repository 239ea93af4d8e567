"""The table `[deploy]` of `ropewalk.toml`: what exported files for containers and clusters say of a release."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ropewalk.parts import Part

Package = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Deploy(Part, frozen=True, kw_only=True):
    """How a release is put into containers.

    Attributes:
        image: `REGISTRY/NAME` of its images, without a tag; the model's name when empty.
        base: image that the Dockerfile begins with.
        libraries: packages that the image holds besides those that answering needs, such as `polars` for Arrow bodies.
        replicas: how many stand at least.
        replicas_max: how many there may be at most.
        cpu: processors that each asks for.
        memory: what each may take, as Kubernetes writes it.
        cpu_percent: of the processors that are asked for, above which there are to be more replicas.
        hostname: name by which callers reach it through a web server; `_` for any.
    """

    image: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9._/:-]*[a-z0-9])?$")] = ""
    base: Annotated[str, Meta(pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$")] = "python:3.11-slim"
    libraries: tuple[Package, ...] = ()
    replicas: Annotated[int, Meta(ge=1, le=1000)] = 2
    replicas_max: Annotated[int, Meta(ge=1, le=1000)] = 10
    cpu: Annotated[float, Meta(gt=0, le=256)] = 1.0
    memory: Annotated[str, Meta(pattern=r"^[1-9][0-9]*(Mi|Gi)$")] = "1Gi"
    cpu_percent: Annotated[int, Meta(ge=1, le=100)] = 70
    hostname: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]+$")] = "_"
