"""What `ropewalk export` does for who watches the server: `prometheus` and `grafana`."""

from __future__ import annotations

import argparse
import re
import shlex

from ropewalk.cli.output import Output
from ropewalk.errors import Invalid

_TARGET = re.compile(r"(\[[0-9a-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
CHANGED = 1


def watcher(options: argparse.Namespace, out: Output) -> int:
    """Write the files; with --dry-run, say how what lies there differs and end with 1."""
    from ropewalk.exports.targets import FOLDER
    from ropewalk.exports.watching import WATCHERS
    from ropewalk.exports.write import put
    from ropewalk.settings import read_settings

    target = "".join(options.words[:1])
    given = [f"--{name}" for name in ("secret", "schedule", "image", "base") if getattr(options, name)]
    if len(options.words) > 1 or (target and not _TARGET.fullmatch(target)) or given:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where=f"ropewalk export {options.kind}",
            why=f"one address, such as ml.example.org:8470; found {' '.join((*options.words, *given))[:200]}",
            fix=f"ropewalk export {options.kind}",
        )
    settings = read_settings(options.project)
    folder = options.output or f"{FOLDER}/{options.kind}"
    done = {
        name: put(options.project / folder / name, text, check=options.check)
        for name, text in WATCHERS[options.kind](settings, target).items()
    }
    for name, one in done.items():
        for line in one.diff if options.check else ():
            out.line(line)
        said = "is current" if not one.changed else "differs" if options.check else "written"
        out.line(f"{folder}/{name} {said}")
    changed = any(one.changed for one in done.values())
    out.result(
        {
            "target": options.kind,
            "files": [f"{folder}/{name}" for name in done],
            "current": not changed,
            "written": changed and not options.check,
        }
    )
    out.next(
        shlex.join(["ropewalk", "export", options.kind, *options.words, *([] if options.check else ["--dry-run"])])
    )
    return CHANGED if changed and options.check else 0
