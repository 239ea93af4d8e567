"""A release on a machine without containers: a unit for systemd, and a site of Nginx's before it."""

from __future__ import annotations

from ropewalk.blobs.bucket import Bucket
from ropewalk.exports import libraries
from ropewalk.exports.containers import memory, words
from ropewalk.exports.released import Released
from ropewalk.exports.render import fill

HOME = "/opt/ropewalk"
BUNDLES = "/var/lib/ropewalk"


def nginx(found: Released) -> dict[str, str | bytes]:
    """Return the site."""
    return {f"{found.name}.conf": fill("server/nginx.conf", {**found.facts(), **words()})}


def systemd(blobs: Bucket, found: Released) -> dict[str, str | bytes]:
    """Return the unit, and what its environment is made of."""
    facts = {
        **found.facts(),
        **words(),
        "home": HOME,
        "program": f"{HOME}/venv/bin/ropewalk",
        "bundle": f"{BUNDLES}/{found.name}",
        "memory": memory(found),
    }
    return {
        f"{found.name}.service": fill("server/unit.service", facts),
        **libraries.files(found, libraries.pins(blobs, found)),
    }
