"""The whole server with two workspaces behind it, asked by whoever is named."""

from __future__ import annotations

from typing import Any

from api.asked import Asked, bearer, person
from ropewalk.access.roles import Grant
from ropewalk.site import Site
from ropewalk.workspaces import workspace


class Door:
    """A server with the workspaces `team-a` and `team-b`, asked by whoever is named."""

    def __init__(self, site: Site, **auth: Any) -> None:
        self.site = site
        self.asked = Asked(site, **auth)
        for name in ("team-a", "team-b"):
            site.db.write(lambda tx, name=name: workspace.add(tx, site, name, host="churn"))
        self.keys: dict[str, str] = {}

    def let_in(self, name: str, *roles: Grant) -> str:
        self.keys[name] = person(self.site, name, *roles)
        return self.keys[name]

    def ask(self, method: str, target: str, body: Any = b"", *, by: str = "", inside: str = "", **more: Any) -> Any:
        if by:
            more["authorization"] = bearer(self.keys[by])
        if inside:
            more["x_mlflow_workspace"] = inside
        return self.asked.ask(method, target, body, **more)

    def changed(self, work: Any) -> None:
        """Change the host's rows as another process does, and let the server's memory of them grow old."""
        self.site.db.write(work)
        self.site.clock.advance(1)

    def close(self) -> None:
        self.asked._runner.run(self.asked.app.close())
        self.asked.close()
