"""`ropewalk serve` answers with a model version at once, unreleased, or with a release in a folder of its own."""

from __future__ import annotations

import argparse
import os
import shlex
from typing import TYPE_CHECKING

from ropewalk.cli import logline
from ropewalk.cli.output import Output
from ropewalk.cli.parse import port
from ropewalk.errors import Invalid

if TYPE_CHECKING:
    from ropewalk.models.versions import ModelVersion

EXAMPLE = """
ropewalk serve
ropewalk serve churn/3 --port 0        # this version, at any free port
ropewalk serve --bundle exports/bundle/churn-1          # what `ropewalk export bundle` wrote; needs no project
ropewalk serve --bundle /srv/ropewalk/bundle --host 0.0.0.0      # as in a container: others may ask, nobody is asked
"""
BUNDLE, HOST = "ROPEWALK_BUNDLE", "ROPEWALK_HOST"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model and the port."""
    parser.add_argument(
        "model",
        nargs="?",
        default="",
        metavar="MODEL",
        help="NAME, NAME/VERSION or NAME@ALIAS; the project's newest version, and those to come, when left out",
    )
    parser.add_argument("--port", type=port, default=None, help="0 takes a free one; ropewalk.toml's when left out")
    parser.add_argument(
        "--bundle", default=os.environ.get(BUNDLE, ""), metavar="FOLDER", help=f"a release's folder; or {BUNDLE}"
    )
    parser.add_argument(
        "--host", default=os.environ.get(HOST, ""), metavar="ADDRESS", help=f"with --bundle: for others too; or {HOST}"
    )
    parser.add_argument("--probe", action="store_true", help="ask the server of this machine whether it is ready")
    logline.arguments(parser)


def handle(options: argparse.Namespace, out: Output) -> int | None:
    """Serve until SIGTERM or Ctrl-C, then answer what is under way and leave."""
    if options.probe or options.bundle:
        from ropewalk.cli import packed

        return packed.probe(options, out) if options.probe else packed.serve(options, out)
    if options.host:
        raise Invalid(
            "host-not-loopback",
            "An unreleased model answers on this machine alone.",
            where="--host",
            why="it has not walked the line",
            fix="ropewalk ship, then: ropewalk export bundle, and ropewalk serve --bundle FOLDER --host ADDRESS",
        )
    from ropewalk.cli.up import listen, told
    from ropewalk.console.app import build
    from ropewalk.endpoints import server
    from ropewalk.endpoints.unreleased import VersionSource, choose, endpoint_of, served_of
    from ropewalk.house import open_house

    with open_house(options.project, create=False) as house:
        with house.site.db.read() as rows:
            found, follows = choose(rows, house.settings.model_name, options.model)
        served = served_of(house.site, found)
        logline.begin(options.log, requests=options.log_requests)
        listener = listen(house, options.port, open_to_others=False)
        url = server.address_of(listener)
        source = VersionSource(
            house.site, found.name, version=0 if follows else found.version, allowed=house.settings.scan.globals
        )
        endpoint = endpoint_of(found.name)

        def ready() -> None:
            problem = app.gateway.board.problems.get(endpoint)
            if problem is not None:
                out.line(f"{found.ref} cannot answer: {problem.what} {problem.why}", style="red")
                if problem.fix:
                    out.line(f"fix        {problem.fix}")
            _say(found, url, endpoint, served.example, follows=follows, out=out)

        app = build(house, environment="unreleased", on_ready=ready, source=source)
        with told(house, app):
            server.run(app, listener, admission=app.admission)
    out.line("stopped")
    out.result({"url": url, "endpoint": endpoint, "model": found.ref})
    out.next(shlex.join(["ropewalk", "ship", found.ref]), "ropewalk status")
    return None


def _say(found: ModelVersion, url: str, endpoint: str, row: dict[str, object], *, follows: bool, out: Output) -> None:
    from ropewalk.cli.project import curl

    newer = "; a newer version takes its place by itself" if follows else ""
    out.line(f"{found.ref} answers, unreleased, on this machine alone{newer}", style="bold")
    out.line(f"endpoint   {url}/endpoints/{endpoint}/predict")
    out.line(f"console    {url}/")
    out.line(f"API        {url}/docs")
    out.line()
    out.line(f"ask it:\n  {curl(url, endpoint, row)}")
    out.line()
    out.line(f"release it, through the nine stages:\n  ropewalk ship {found.ref}")
    out.now("Ctrl-C stops it; answers under way are finished first.")
