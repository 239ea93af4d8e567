"""Known vulnerabilities: OSV records kept as files, matched against pinned packages, offline."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ropewalk.errors import Invalid
from ropewalk.refs import digest_of

ECOSYSTEM = "PyPI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One OSV record as it concerns one package (https://ossf.github.io/osv-schema/).

    Attributes:
        id: such as `GHSA-...` or `PYSEC-...`.
        aliases: other names of the same, such as a CVE.
        package: normalised name.
        summary: one line.
        versions: versions that are named one by one.
        ranges: `(introduced, fixed, last_affected)`; an empty text is open.
        file: the file it was read from.
    """

    id: str
    aliases: tuple[str, ...]
    package: str
    summary: str
    versions: tuple[str, ...]
    ranges: tuple[tuple[str, str, str], ...]
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerable:
    """A pinned package with a known vulnerability.

    Attributes:
        package: its name.
        version: what is pinned.
        advisory: id of the record.
        aliases: its other names.
        fixed: first version without it; empty when there is none yet.
        summary: one line.
    """

    package: str
    version: str
    advisory: str
    aliases: tuple[str, ...]
    fixed: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisories:
    """A read folder of advisories.

    Attributes:
        records: one per record and package.
        files: digests by file name, so that evidence can name what was looked at.
    """

    records: tuple[Advisory, ...]
    files: Mapping[str, str]


def read_advisories(folder: Path) -> Advisories:
    """Return every OSV record below a folder; a folder that is not there gives none.

    Raises:
        Invalid: a file is not an OSV record; the error names it.
    """
    records: list[Advisory] = []
    files: dict[str, str] = {}
    for path in sorted(folder.rglob("*.json")) if folder.is_dir() else ():
        data = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        files[name] = digest_of(data)
        try:
            found = json.loads(data)
            for one in cast("list[Any]", found if isinstance(found, list) else [found]):
                records.extend(_advisories(one, name))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Invalid(
                "advisory-unreadable",
                "An advisory file is not in OSV format.",
                where=f"{folder.name}/{name}",
                why=f"{type(error).__name__}: {error}",
                fix="replace it by the record as published, or remove it",
            ) from error
    return Advisories(records=tuple(records), files=files)


def _advisories(record: dict[str, Any], file: str) -> list[Advisory]:
    if record.get("withdrawn"):
        return []
    found: list[Advisory] = []
    for affected in record["affected"]:
        package = affected["package"]
        if package["ecosystem"] != ECOSYSTEM:
            continue
        ranges = [one for one in affected.get("ranges", ()) if one["type"] in ("ECOSYSTEM", "SEMVER")]
        found.append(
            Advisory(
                id=str(record["id"]),
                aliases=tuple(str(alias) for alias in record.get("aliases", ())),
                package=canonicalize_name(str(package["name"])),
                summary=str(record.get("summary") or str(record.get("details", ""))[:200]).strip(),
                versions=tuple(str(version) for version in affected.get("versions", ())),
                ranges=tuple(pair for one in ranges for pair in _pairs(one["events"])),
                file=file,
            )
        )
    return found


def _pairs(events: list[dict[str, str]]) -> list[tuple[str, str, str]]:
    """Return `(introduced, fixed, last_affected)` of a range's events, in their order."""
    pairs: list[tuple[str, str, str]] = []
    introduced: str | None = None
    for event in events:
        if "introduced" in event:
            if introduced is not None:
                pairs.append((introduced, "", ""))
            introduced = event["introduced"]
        elif introduced is not None and ("fixed" in event or "last_affected" in event):
            pairs.append((introduced, event.get("fixed", ""), event.get("last_affected", "")))
            introduced = None
    if introduced is not None:
        pairs.append((introduced, "", ""))
    return pairs


def match(advisories: Advisories, packages: Iterable[tuple[str, str]]) -> tuple[Vulnerable, ...]:
    """Return which pinned packages an advisory concerns, in order of package and advisory."""
    pinned: dict[str, str] = {canonicalize_name(name): version for name, version in packages}
    found = [
        Vulnerable(
            package=record.package,
            version=pinned[record.package],
            advisory=record.id,
            aliases=record.aliases,
            fixed=_fixed(record, pinned[record.package]),
            summary=record.summary,
        )
        for record in advisories.records
        if record.package in pinned and _concerns(record, pinned[record.package])
    ]
    return tuple(sorted(set(found), key=lambda one: (one.package, one.advisory, one.fixed)))


def _version(text: str) -> Version | None:
    try:
        return Version("0" if text == "" else text)
    except InvalidVersion:
        return None


def _concerns(record: Advisory, pinned: str) -> bool:
    """Say whether a version is affected; one that cannot be read counts as affected when a range is open to it."""
    own = _version(pinned)
    if pinned in record.versions or (own and any(_version(one) == own for one in record.versions)):
        return True
    return any(_within(own, pair) for pair in record.ranges)


def _within(own: Version | None, pair: tuple[str, str, str]) -> bool:
    if own is None:
        return True
    introduced, fixed, last = (_version(text) if text else None for text in pair)
    if introduced is not None and own < introduced:
        return False
    if fixed is not None:
        return own < fixed
    return last is None or own <= last


def _fixed(record: Advisory, pinned: str) -> str:
    """Return the lowest fixed version above the pinned one, or an empty text."""
    own = _version(pinned)
    fixes = [(version, fixed) for _, fixed, _ in record.ranges if fixed and (version := _version(fixed)) is not None]
    above = sorted(pair for pair in fixes if own is None or pair[0] > own)
    return above[0][1] if above else ""
