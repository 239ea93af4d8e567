"""What `ropewalk export airflow|argo|kubeflow|prefect` does."""

from __future__ import annotations

import argparse
import os

from ropewalk.cli.output import Output

CHANGED = 1


def pipeline(options: argparse.Namespace, out: Output) -> int:
    """Write a pipeline out for an orchestrator; with --check, say how the file differs and end with 1."""
    from ropewalk.cli.project import require_pipeline
    from ropewalk.cli.run import mended, split
    from ropewalk.exports.targets import Order, export
    from ropewalk.house import open_house

    target, args = split(options.words)
    require_pipeline(options.project, target)
    with open_house(options.project) as house, mended(options.words):
        order = Order(
            target=options.kind,
            pipeline=target or house.settings.pipeline,
            args=args,
            output=options.output,
            image=options.image,
            secret=options.secret,
            schedule=options.schedule,
        )
        done, exported = export(house.site, house.settings, order, check=options.check)
    path = os.path.relpath(done.path, options.project)
    stale = done.changed and options.check
    if options.check:
        for line in done.diff:
            out.line(line)
    said = "is not what the pipeline is now" if stale else "is current" if not done.changed else "written"
    out.line(f"{path} {said}: {len(exported.nodes)} steps of {exported.pipeline}", style="bold")
    if exported.schedule is not None:
        out.line(f"started by its schedule {exported.schedule.name}: {exported.schedule.when}")
    for spec in exported.beside:
        out.line(f"not written out: {spec.name} ({spec.when})")
    out.result(
        {
            "target": options.kind,
            "file": path,
            "pipeline": exported.pipeline,
            "steps": [node.id for node in exported.nodes],
            "parameters": dict(exported.parameters),
            "schedule": exported.schedule.name if exported.schedule is not None else "",
            "current": not done.changed,
            "written": done.changed and not options.check,
            "diff": list(done.diff) if options.check else [],
        }
    )
    command = order.command(exported.pipeline)
    out.next(command if stale else f"{command} --check")
    return CHANGED if stale else 0
