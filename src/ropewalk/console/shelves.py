"""Where files stand: below a run, a logged model or a model version, whoever put them there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import quote

from starlette.requests import Request

from ropewalk.artifacts import artifact, native, paths, shown
from ropewalk.errors import Invalid, NotFound
from ropewalk.house import House
from ropewalk.models import logged, versions
from ropewalk.models.logged import LoggedModel
from ropewalk.models.manifest import read_manifest
from ropewalk.models.versions import ModelVersion
from ropewalk.runs import run as runs
from ropewalk.runs.states import REMOTE, Run
from ropewalk.store.database import Reader

FILES_SHOWN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One file.

    Attributes:
        path: relative to its shelf.
        digest: sha256 of its bytes.
        bytes: its length.
    """

    path: str
    digest: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Files that belong together.

    Attributes:
        home: address of the page that shows them.
        word: what that page is called.
        folder: their path among artifacts; empty where they lie at an address that is not ours.
        run: the run of ours whose files they are, or None.
        parts: digests by name, for what a manifest names.
    """

    home: str
    word: str
    folder: str
    run: Run | None = None
    parts: Mapping[str, str] = field(default_factory=dict[str, str])

    def address(self, way: str, path: str) -> str:
        """Return the address of a file's page (`files`) or of its bytes (`raw`)."""
        return f"{self.home}/{way}/{quote(path)}"


def of_run(run: Run) -> Shelf:
    """Return the files of a run."""
    own = None if run.kind == REMOTE else run
    return Shelf(home=f"/runs/{run.id}", word=run.name, folder=_folder(run.location), run=own)


def of_logged(model: LoggedModel) -> Shelf:
    """Return the files of a logged model."""
    return Shelf(home=f"/logged/{quote(model.id, safe='')}", word=model.name, folder=_folder(model.location))


def of_version(house: House, version: ModelVersion) -> Shelf:
    """Return the files of a model version.

    Raises:
        NotFound: the blob of its manifest is gone.
        Corrupt: the blob of its manifest was changed.
    """
    home = f"/models/{quote(version.name, safe='')}/{version.version}"
    if version.manifest:
        parts = read_manifest(house.site.blobs, version.manifest).parts
        return Shelf(home=home, word=version.ref, folder="", parts=parts)
    return Shelf(home=home, word=version.ref, folder=_folder(version.storage))


def asked(house: House, rows: Reader, request: Request) -> Shelf:
    """Return the shelf that an address names.

    Raises:
        NotFound: there is no such run, logged model or version.
    """
    path = request.path_params
    if "run" in path:
        return of_run(runs.get(rows, path["run"]))
    if "model" in path:
        return of_logged(logged.get(rows, path["model"]))
    return of_version(house, versions.resolve(rows, path["name"], path["number"]))


def _folder(uri: str) -> str:
    try:
        return paths.of_uri(uri)
    except Invalid:
        return ""


def files(house: House, rows: Reader, shelf: Shelf) -> list[Kept]:
    """Return the files of a shelf by path, one more than is shown."""
    blobs = house.site.blobs
    if shelf.parts:
        return [_part(house, name, digest) for name, digest in sorted(shelf.parts.items())]
    if not shelf.folder:
        return []
    found = {one.path: one for one in islice(artifact.walk(rows, shelf.folder), FILES_SHOWN + 1)}
    if shelf.run is not None:
        found |= native.files(rows, blobs, shelf.run)
    start = len(shelf.folder) + 1
    return [Kept(path=path[start:], digest=found[path].digest, bytes=found[path].bytes) for path in sorted(found)]


def _part(house: House, name: str, digest: str) -> Kept:
    blobs = house.site.blobs
    return Kept(path=name, digest=digest, bytes=blobs.size(digest) if blobs.has(digest) else 0)


def find(house: House, rows: Reader, shelf: Shelf, path: str) -> Kept:
    """Return one file of a shelf.

    Raises:
        NotFound: there is no such file.
        Invalid: the path is none, or a folder's.
    """
    if shelf.parts or not shelf.folder:
        if path not in shelf.parts:
            raise NotFound("artifact-not-found", "There is no such file.", where=path[:200], fix=shelf.home)
        return _part(house, path, shelf.parts[path])
    found = shown.get(rows, house.site.blobs, paths.checked(f"{shelf.folder}/{path}"))
    return Kept(path=path, digest=found.digest, bytes=found.bytes)
