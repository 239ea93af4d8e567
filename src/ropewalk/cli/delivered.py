"""What `ropewalk export` does with a release: `image`, `kubernetes`, `compose` and the others."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.errors import Invalid

if TYPE_CHECKING:
    from ropewalk.exports.deliver import Order
    from ropewalk.house import House

CHANGED = 1
_RELEASE = re.compile(r"[A-Za-z0-9._-]+/[0-9]+")
_MIB = 1 << 20


def release(options: argparse.Namespace, out: Output) -> int:
    """Write a release out; with --dry-run, say how what lies there differs and end with 1."""
    from ropewalk.exports.deliver import IMAGE, Order
    from ropewalk.house import open_house

    _require_fitting(options)
    order = Order(
        target=options.kind,
        release="".join(options.words),
        environment=options.environment,
        output=options.output,
        image=options.image,
        base=options.base,
    )
    with open_house(options.project, create=False) as house:
        return (_image if order.target == IMAGE else _files)(house, order, options, out)


def _files(house: House, order: Order, options: argparse.Namespace, out: Output) -> int:
    from ropewalk.exports.deliver import deliver

    done = deliver(house.site, house.settings, order, check=options.check)
    folder = os.path.relpath(done.folder, options.project)
    if options.check:
        for one in done.files.values():
            for line in one.diff:
                out.line(line)
    # Of many files only those are named that say something.
    named = [name for name in done.files if not name.startswith(("blobs/", "code/"))]
    for name in named:
        said = "is current" if not done.files[name].changed else "differs" if options.check else "written"
        out.line(f"{folder}/{name} {said}")
    more = len(done.files) - len(named)
    if more:
        out.line(f"{folder}: and {more} files of the release")
    stale = done.changed and options.check
    out.line(f"from release {done.found.release.id}, bundle {done.found.release.bundle}", style="bold")
    out.result(
        {
            "target": order.target,
            "release": done.found.release.id,
            "bundle": done.found.release.bundle,
            "image": done.found.image,
            "files": [f"{folder}/{name}" for name in done.files],
            "current": not done.changed,
            "written": done.changed and not options.check,
            "diff": [line for one in done.files.values() for line in one.diff] if options.check else [],
        }
    )
    out.next(done.found.command if stale else f"{done.found.command} --dry-run")
    return CHANGED if stale else 0


def _image(house: House, order: Order, options: argparse.Namespace, out: Output) -> int:
    from ropewalk.exports.deliver import IMAGE, place, read_ordered, unkept
    from ropewalk.exports.foundation import FIX
    from ropewalk.exports.image import build

    if not order.base:
        raise Invalid(
            "image-base",
            "An image is built upon another one, and none is named.",
            where="--base",
            why="it brings the Python",
            fix=f"{FIX}; then: {order.command()} --base base.tar",
        )
    found = read_ordered(house.site, house.settings, order)
    root: Path = options.project
    path = root / (order.output or place(IMAGE, found))
    with out.progress(f"building {found.image}") as bar:
        done = build(
            house.site.blobs, found, root / Path(order.base).expanduser(), path, dry=options.check, on_step=bar.note
        )
    if not options.check:
        unkept(house.site, order, found)
    stale = done.changed and options.check
    shown = os.path.relpath(path, root)
    said = "is another image" if stale else "written" if done.changed else "is current"
    out.line(f"{shown} {said}: {done.built.digest}", style="bold")
    out.line(f"{done.built.bytes / _MIB:.0f} MiB packed; {done.built.added / _MIB:.0f} MiB unpacked beyond the base")
    out.result(
        {
            "target": IMAGE,
            "release": found.release.id,
            "bundle": found.release.bundle,
            "image": found.image,
            "file": shown,
            "digest": done.built.digest,
            "config": done.built.config,
            "bytes": done.built.bytes,
            "added_bytes": done.built.added,
            "current": not done.changed,
            "written": done.changed and not options.check,
        }
    )
    name = shlex.quote(found.image)
    out.next(*([found.command] if stale else [f"docker load -i {shown}", f"docker run --rm -p 8080:8080 {name}"]))
    return CHANGED if stale else 0


def _require_fitting(options: argparse.Namespace) -> None:
    """Pass only for one release, without what a pipeline's export is told.

    Raises:
        Invalid: a word is no release, or an option is a pipeline's.
    """
    other = [f"--{name}" for name in ("secret", "schedule") if getattr(options, name)]
    if len(options.words) > 1 or not all(_RELEASE.fullmatch(word) for word in options.words) or other:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where=f"ropewalk export {options.kind}",
            why=f"one release, such as churn/3; found {' '.join((*options.words, *other))[:200]}",
            fix=f"ropewalk export {options.kind}",
        )
