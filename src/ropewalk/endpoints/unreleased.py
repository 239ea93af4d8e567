"""A model version that answers before it has walked the line: at an endpoint of its own, which says so everywhere."""

from __future__ import annotations

from ropewalk.data.contract import from_json
from ropewalk.data.rows import row_checker
from ropewalk.endpoints.columnar import compiled
from ropewalk.endpoints.served import Served, code_folder, example_of
from ropewalk.errors import NotFound
from ropewalk.models import versions
from ropewalk.models.manifest import read_manifest
from ropewalk.models.versions import ModelVersion
from ropewalk.releases.traffic import Traffic
from ropewalk.runs import run as runs
from ropewalk.site import Site
from ropewalk.store.database import Reader

MARK = ".unreleased"


def endpoint_of(model: str) -> str:
    """Return the name of the endpoint at which a model's versions answer unreleased."""
    return f"{model}{MARK}"


def is_unreleased(name: str) -> bool:
    """Say whether an endpoint, or what answered as if it were a release, is an unreleased one."""
    return name.partition("/")[0].endswith(MARK)


def version_of(reader: Reader, release: str) -> ModelVersion:
    """Return the model version that answered under this name, such as `flights.unreleased/3`.

    Raises:
        NotFound: there is none.
    """
    name, _, number = release.rpartition("/")
    return versions.resolve(reader, name.removesuffix(MARK), number)


def traffic_of(found: ModelVersion) -> Traffic:
    """Return the traffic of a version that answers unreleased: all of it, with the version as its generation."""
    endpoint = endpoint_of(found.name)
    return Traffic(
        endpoint=endpoint,
        generation=found.version,
        at_us=found.created_us,
        actor=found.author,
        champion=f"{endpoint}/{found.version}",
        canary="",
        canary_weight_bp=0,
        shadow="",
        previous="",
        salt="",
        reason="unreleased: ropewalk serve answers with it on this machine; it has not walked the line",
    )


def current(reader: Reader, endpoint: str) -> Traffic | None:
    """Return the traffic of an unreleased endpoint as it would be now, or None when its model has no version."""
    found = newest(reader, endpoint.removesuffix(MARK))
    return None if found is None else traffic_of(found)


def served_of(site: Site, found: ModelVersion) -> Served:
    """Return what a model version serves, every part of it verified by its digest.

    Raises:
        NotFound: a blob is missing.
        Corrupt: a blob does not hold what was recorded.
        Conflict: an MLflow client registered it, so that no manifest names its bytes.
    """
    with site.db.read() as reader:
        versions.require_bytes(reader, found)
        code = runs.get(reader, found.run_id).code
    manifest = read_manifest(site.blobs, found.manifest)
    contract = from_json(site.blobs.get(manifest.parts["contract.json"])).without_target()
    names = [column.name for column in contract.columns]
    return Served(
        release=f"{endpoint_of(found.name)}/{found.version}",
        bundle="",
        manifest=found.manifest,
        model=found.name,
        version=found.version,
        inputs=manifest.signature.inputs,
        outputs=manifest.signature.outputs,
        contract=contract,
        check=row_checker(contract),
        columnar=compiled(contract, manifest.signature.inputs),
        example=example_of(site.blobs, manifest.parts.get("golden.parquet", ""), names),
        allow_pickle=True,
        code=code,
    )


class VersionSource:
    """One model, of which a version answers unreleased.

    Args:
        site: the project.
        model: its name.
        version: which of its versions; 0 for always the newest that has bytes.
        allowed: globals that it may import besides the defaults.
    """

    def __init__(self, site: Site, model: str, *, version: int = 0, allowed: tuple[str, ...] = ()) -> None:
        self._site = site
        self._model = model
        self._version = version
        self._allowed = allowed

    def version(self) -> int:
        """Return the database's version: it changes with every commit of anybody."""
        return self._site.db.version()

    def traffic(self) -> dict[str, Traffic]:
        """Return the one endpoint, as long as there is a version."""
        with self._site.db.read() as reader:
            found = self._found(reader)
        return {} if found is None else {endpoint_of(self._model): traffic_of(found)}

    def _found(self, reader: Reader) -> ModelVersion | None:
        if self._version:
            return versions.get(reader, self._model, self._version)
        return newest(reader, self._model)

    def served(self, release: str) -> Served:
        """Return what a version serves, verified."""
        with self._site.db.read() as reader:
            found = version_of(reader, release)
        return served_of(self._site, found)

    def load(self, served: Served) -> dict[str, object]:
        """Return the worker's load message; lays the code out."""
        code = code_folder(self._site.blobs, self._site.hidden, served.code)
        return served.load(self._site.blobs, code, self._allowed)


def newest(reader: Reader, model: str) -> ModelVersion | None:
    """Return the newest version of a model that can answer, or None."""
    return reader.get(ModelVersion, "models.latest_with_bytes", name=model)


def choose(reader: Reader, project_model: str, wanted: str = "") -> tuple[ModelVersion, bool]:
    """Return the version that is to answer, and whether newer ones shall follow it.

    Args:
        reader: the view.
        project_model: name of the project's model.
        wanted: `NAME`, `NAME/VERSION`, `NAME@ALIAS`, a version or an alias of the project's model; empty for the
            newest version of the project's model, or of any if that has none.

    Raises:
        NotFound: there is none.
    """
    if not wanted:
        names = [project_model, *versions.names(reader)]
        found = [one for name in dict.fromkeys(names) if (one := newest(reader, name)) is not None]
        if not found:
            raise NotFound(
                "nothing-to-serve",
                "There is no model to serve yet.",
                where=f"model {project_model}",
                why="no run has left a model",
                fix="ropewalk run train.py",
            )
        own = found[0].name == project_model
        return (found[0] if own else max(found, key=lambda one: one.created_us)), True
    for mark in ("/", "@"):
        name, sign, version = wanted.partition(mark)
        if sign:
            return versions.resolve(reader, name, version), False
    known = newest(reader, wanted)
    if known is not None:
        return known, True
    return versions.resolve(reader, project_model, wanted), False
