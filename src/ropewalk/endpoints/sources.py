"""Where a gateway learns who answers: the project's traffic table, or one bundle alone."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ropewalk.blobs.bucket import Bucket
from ropewalk.endpoints.served import Served, code_folder, read_served
from ropewalk.refs import short
from ropewalk.releases import release as releases
from ropewalk.releases import traffic as splits
from ropewalk.releases.traffic import Traffic
from ropewalk.site import Site


class Source(Protocol):
    """What a gateway follows; its functions may block, so they are called in threads."""

    def version(self) -> int:
        """Return a number that changes when `traffic` may have changed."""
        ...

    def traffic(self) -> dict[str, Traffic]:
        """Return who answers now, by endpoint."""
        ...

    def served(self, release: str) -> Served:
        """Return what a release serves, verified.

        Raises:
            RopewalkError: it is not there, or not what was recorded.
        """
        ...

    def load(self, served: Served) -> dict[str, object]:
        """Return the worker's load message for a release."""
        ...


class SiteSource:
    """A project's traffic table, as far as it is of one environment.

    Args:
        site: the project.
        environment: whose endpoints are served; empty for those of every environment.
        allowed: globals that models may import besides the defaults.
    """

    def __init__(self, site: Site, environment: str, *, allowed: tuple[str, ...] = ()) -> None:
        self._allowed = allowed
        self._site = site
        self._environment = environment

    def version(self) -> int:
        """Return the database's version: it changes with every commit of anybody."""
        return self._site.db.version()

    def traffic(self) -> dict[str, Traffic]:
        """Return who answers now, by endpoint."""
        found: dict[str, Traffic] = {}
        with self._site.db.read() as reader:
            for endpoint in splits.endpoints(reader):
                now = splits.current(reader, endpoint)
                champion = None if now is None else releases.find(reader, now.champion)
                if now is not None and champion is not None and self._environment in ("", champion.environment):
                    found[endpoint] = now
        return found

    def served(self, release: str) -> Served:
        """Return what a release serves, verified."""
        with self._site.db.read() as reader:
            found = releases.get(reader, release)
        return read_served(self._site.blobs, release, found.bundle, found.environment)

    def load(self, served: Served) -> dict[str, object]:
        """Return the worker's load message; lays the code out."""
        code = code_folder(self._site.blobs, self._site.hidden, served.code)
        return served.load(self._site.blobs, code, self._allowed)


class BundleSource:
    """One bundle that answers everything, for staging and qa.

    Args:
        blobs: where the bundle's parts are.
        bundle: digest.
        environment: whose configuration counts.
        scratch: a folder for the code.
        allowed: globals that the model may import besides the defaults.
    """

    def __init__(
        self,
        blobs: Bucket,
        *,
        bundle: str,
        environment: str,
        scratch: Path,
        allowed: tuple[str, ...] = (),
    ) -> None:
        self._allowed = allowed
        self._blobs = blobs
        self._scratch = scratch
        self._served = read_served(blobs, f"{short(bundle)}/0", bundle, environment)

    def version(self) -> int:
        """Return 0: a bundle never changes."""
        return 0

    def traffic(self) -> dict[str, Traffic]:
        """Return the one endpoint, called like the model."""
        return {self._served.model: Traffic.alone(self._served.model, self._served.release, "a bundle alone")}

    def served(self, release: str) -> Served:  # noqa: ARG002 - there is only one
        """Return what the bundle serves."""
        return self._served

    def load(self, served: Served) -> dict[str, object]:
        """Return the worker's load message; lays the code out."""
        code = code_folder(self._blobs, self._scratch, served.code)
        return served.load(self._blobs, code, self._allowed)
