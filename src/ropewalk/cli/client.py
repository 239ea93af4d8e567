"""`ropewalk client python|typescript` writes a typed client of an endpoint: one file, without dependencies."""

from __future__ import annotations

import argparse
from pathlib import Path

from ropewalk.cli.output import Output
from ropewalk.errors import NotFound

EXAMPLE = """
ropewalk client python --into churn_client.py
ropewalk client typescript churn --into churn.ts
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the language, the endpoint and the file."""
    parser.add_argument("language", choices=("python", "typescript"), help="in which language")
    parser.add_argument("endpoint", nargs="?", default="", help="the project's own in production when left out")
    parser.add_argument("--into", default="", metavar="FILE", help="where to; printed when left out")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Write the client from the contract of the release that answers.

    Raises:
        NotFound: nothing answers there, or the folder to write into is not there.
    """
    from ropewalk.endpoints.clients.write import write
    from ropewalk.endpoints.served import read_served
    from ropewalk.house import open_house
    from ropewalk.releases import release, traffic

    with open_house(options.project, create=False) as house:
        name = options.endpoint or traffic.endpoint_name(house.settings.model_name, traffic.FIRST_ENVIRONMENT)
        with house.site.db.read() as rows:
            now = traffic.current(rows, name)
            if now is None or not now.champion:
                raise NotFound(
                    "nothing-live",
                    "Nothing is live yet.",
                    where=f"endpoint {name}",
                    why="a client is written from the contract of the release that answers",
                    fix="ropewalk ship",
                )
            found = release.get(rows, now.champion)
        text = write(options.language, name, read_served(house.site.blobs, found.id, found.bundle, found.environment))
    if not options.into:
        out.line(text.rstrip("\n"))
        out.result({"endpoint": name, "release": found.id, "client": text})
        return
    path = Path(options.into)
    if not path.parent.is_dir():
        raise NotFound(
            "data-file-not-found",
            "The folder to write into is not there.",
            where=str(path),
            fix=f"mkdir -p {path.parent}",
        )
    path.write_text(text)
    out.line(f"client of {name} as {found.id} answers it: {options.into}")
    out.result({"endpoint": name, "release": found.id, "into": options.into})
    out.next("ropewalk up")
