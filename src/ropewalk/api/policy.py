"""What an address wants of a caller's role, and of which environment it speaks: one table, and refusal beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute, Mount, Route, compile_path

from ropewalk.access.roles import ADMIN, READ
from ropewalk.api.routes import Door
from ropewalk.errors import NotFound

LOOKS = frozenset(("GET", "HEAD"))
# Attribute of a page's endpoint: what it takes to look at it, where that is not to read.
LOOK = "look"
# Who may come without being known: to see whether somebody is there, and to say who he is.
PUBLIC = frozenset(("/health", "/ping", "/v2/health/live", "/v2/health/ready", "/login"))
_PUBLIC_FILE = re.compile(r"/static/[A-Za-z0-9_-]+\.(css|js|svg)")
# Whoever posts here holds the secret of a schedule, which the route looks at: senders of webhooks have no token.
_TRIGGER = re.compile(r"/api/v1/triggers/[^/]+")
# The gateway's own addresses, which are in no table of routes: to ask for a prediction is to read.
_GATEWAY = re.compile(
    r"/v2(/.*)?|/metrics|/docs|/openapi\.json|/ping|/invocations"
    r"|/endpoints/[^/]+/(predict|invocations|ping|health|version)"
)
# Loading and unloading is refused to everybody, in words that say who does it instead.
_ASKED = re.compile(
    r"(/endpoints/[^/]+)?/invocations|/endpoints/[^/]+/predict|/v2/models/[^/]+(/versions/[^/]+)?/infer"
    r"|/v2/repository/(index|models/[^/]+/(load|unload))"
)
# What speaks of the served environment; all else is tracking, whose environment `[auth] tracking` names.
_SERVED = re.compile(
    r"(/api/v1|/live)?/(endpoints|releases|predictions|alerts)(/.*)?|/(evidence|v2)(/.*)?|/ledger|/api/v1/ledger|/metrics"
    r"|/ping|/invocations"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one address wants.

    Attributes:
        shape: matches the whole path.
        methods: verbs; empty for every one.
        action: what the caller's role has to allow.
    """

    shape: re.Pattern[str]
    methods: frozenset[str]
    action: str


class Policy:
    """Knows the action of every address but those of MLflow's protocol, whose own table names it.

    Args:
        doors: the native routes.
        pages: routes for people.
    """

    def __init__(self, doors: Iterable[Door], pages: Sequence[BaseRoute]) -> None:
        self.rules = (*map(_of_door, doors), *(rule for page in pages for rule in _of_page(page)))

    def action(self, method: str, path: str) -> str:
        """Return what a request wants; what nobody thought of wants an administrator."""
        verb = "GET" if method == "HEAD" else method
        if _GATEWAY.fullmatch(path):
            return READ if verb == "GET" or (verb == "POST" and _ASKED.fullmatch(path)) else ADMIN
        for rule in self.rules:
            if rule.shape.match(path) and (not rule.methods or verb in rule.methods):
                return rule.action
        return READ if verb == "GET" else ADMIN  # nothing is there: whoever is known may be told so


def is_public(method: str, path: str) -> bool:
    """Say whether anybody may ask this."""
    if method == "POST":
        return path == "/login" or is_trigger(method, path)
    return method in LOOKS and (path in PUBLIC or _PUBLIC_FILE.fullmatch(path) is not None)


def is_open(method: str, path: str, *, apart: bool) -> bool:
    """Say whether nobody is asked here who he is; in a workspace only where a schedule's secret is looked at."""
    return is_trigger(method, path) if apart else is_public(method, path)


def is_trigger(method: str, path: str) -> bool:
    """Say whether this is for who holds a schedule's secret."""
    return method == "POST" and _TRIGGER.fullmatch(path) is not None


def unknown_trigger(path: str) -> NotFound:
    """Return the error of a schedule that does not start for a secret, or is not there: both read alike."""
    return NotFound(
        "trigger-unknown",
        "No webhook answers to this name and secret.",
        where=path[:100],
        why="either there is none of this name, or what came with it is not its secret",
        fix="ropewalk schedule secret NAME, then: Authorization: Bearer SECRET",
    )


def is_served(path: str) -> bool:
    """Say whether an address speaks of the environment that is served, and not of tracking."""
    return _SERVED.fullmatch(path) is not None


def _of_door(door: Door) -> Rule:
    return Rule(shape=compile_path(door.path)[0], methods=frozenset((door.method,)), action=door.action)


def _of_page(page: BaseRoute) -> list[Rule]:
    """Return what a page wants: to look is to read; what changes something says so by `action` of its endpoint."""
    if isinstance(page, Mount):
        return [Rule(shape=page.path_regex, methods=frozenset(("GET",)), action=READ)]
    assert isinstance(page, Route), f"a page of a kind that has no rule: {page!r}"
    methods = frozenset(page.methods or ())
    found: list[Rule] = []
    if methods & LOOKS:
        action = str(getattr(page.endpoint, LOOK, READ))
        found.append(Rule(shape=page.path_regex, methods=frozenset(("GET",)), action=action))
    if methods - LOOKS:
        action = str(getattr(page.endpoint, "action", ADMIN))
        found.append(Rule(shape=page.path_regex, methods=methods - LOOKS, action=action))
    return found
