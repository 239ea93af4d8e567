"""Users, roles, tokens, webhooks and logged models: what the ledger has told of them, against what their rows say."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ropewalk.evidence.claims import Difference
from ropewalk.ledger.chain import Entry
from ropewalk.store.database import Reader

Words = dict[str, Any]
Key = tuple[str, ...]
USER, ROLE, TOKEN, HOOK, MODEL, TAG = (
    "user",
    "role of user",
    "token",
    "webhook",
    "logged model",
    "tag of logged model",
)
_STATES = {"access.user-added": "active", "access.user-enabled": "active", "access.user-disabled": "disabled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the ledger has told of one thing.

    Attributes:
        words: by the names of columns.
        seq: of the newest entry that changed them.
    """

    words: Words
    seq: int


class Standing:
    """Hears the ledger entry by entry; then says which rows are not what it has told.

    One entry may speak of many things here: who is disabled loses all his tokens, and who renames a workspace renames
    it in every role.
    """

    def __init__(self) -> None:
        self._said: dict[str, dict[Key, Told]] = defaultdict(dict)
        self._workspaces: dict[str, str] = {}
        self._rooms: dict[str, Callable[[Entry, str, Words], None]] = {
            "access": self._access,
            "workspace": self._workspace,
            "webhook": self._hook,
            "logged": self._logged,
            "experiment": self._experiment,
        }

    def hear(self, entry: Entry) -> None:
        """Note what an entry says; one whose body was damaged says nothing, the chain names it."""
        heard = self._rooms.get(entry.kind.partition(".")[0])
        if heard is None:
            return
        try:
            heard(entry, entry.subject.partition(":")[2], json.loads(entry.body))
        except (ValueError, KeyError, TypeError):
            return

    def _put(self, what: str, key: Key, words: Mapping[str, Any], entry: Entry) -> None:
        known = self._said[what].get(key)
        self._said[what][key] = Told(words={**(known.words if known else {}), **words}, seq=entry.seq)

    def _access(self, entry: Entry, name: str, facts: Words) -> None:
        kind = entry.kind
        if kind in _STATES:
            self._put(
                USER, (name,), {"state": _STATES[kind], **{key: facts[key] for key in ("kind",) if key in facts}}, entry
            )
        if kind in ("access.user-disabled", "access.password-set"):
            for key, told in list(self._said[TOKEN].items()):
                if told.words["user_name"] == name:
                    self._put(TOKEN, key, {"revoked": 1}, entry)
        elif kind in ("access.role-granted", "access.role-revoked"):
            role = (name, str(facts["role"]), str(facts["project"]), str(facts["environment"]))
            if kind == "access.role-granted":
                self._put(ROLE, role, {}, entry)
            else:
                self._said[ROLE].pop(role, None)
        elif kind == "access.token-created":
            words = {key: facts[key] for key in ("role", "project", "environment", "expires_us", "note")}
            self._put(TOKEN, (name,), {**words, "user_name": facts["user"], "revoked": 0}, entry)
        elif kind == "access.token-revoked":
            self._put(TOKEN, (name,), {"revoked": 1}, entry)

    def _workspace(self, entry: Entry, name: str, facts: Words) -> None:
        """Rename a workspace in every role and token that was given for it."""
        old, new = self._workspaces.get(name), str(facts["name"])
        self._workspaces[name] = new
        if old in (None, new):
            return
        for key, told in list(self._said[TOKEN].items()):
            if told.words["project"] == old:
                self._put(TOKEN, key, {"project": new}, entry)
        for key in [one for one in self._said[ROLE] if one[2] == old]:
            del self._said[ROLE][key]
            self._put(ROLE, (key[0], key[1], new, key[3]), {}, entry)

    def _hook(self, entry: Entry, name: str, facts: Words) -> None:
        if entry.kind == "webhook.deleted":
            self._said[HOOK].pop((name,), None)
        elif entry.kind in ("webhook.created", "webhook.updated"):
            words = {key: facts[key] for key in ("name", "url", "status")}
            self._put(HOOK, (name,), {**words, "events": facts["events"], "signed": int(facts["signed"])}, entry)

    def _logged(self, entry: Entry, name: str, facts: Words) -> None:
        match entry.kind:
            case "logged.created":
                words = {"experiment": facts["experiment"], "name": facts["name"], "source_run": facts["run"]}
                self._put(MODEL, (name,), {**words, "status": "PENDING", "deleted": 0}, entry)
            case "logged.finalized":
                self._put(MODEL, (name,), {"status": facts["status"]}, entry)
            case "logged.deleted":
                self._put(MODEL, (name,), {"deleted": 1}, entry)
            case "logged.purged":
                self._forget(name)
            case "logged.tag":
                self._put(TAG, (name, facts["key"]), {"value": facts["hash"]}, entry)
            case "logged.untagged":
                self._said[TAG].pop((name, facts["key"]), None)
            case _:
                pass

    def _experiment(self, entry: Entry, name: str, _facts: Words) -> None:
        if entry.kind == "experiment.purged":
            for (model,) in [key for key, told in self._said[MODEL].items() if str(told.words["experiment"]) == name]:
                self._forget(model)

    def _forget(self, model: str) -> None:
        self._said[MODEL].pop((model,), None)
        self._said[TAG] = {key: told for key, told in self._said[TAG].items() if key[0] != model}

    def differences(self, rows: Reader) -> Iterator[Difference]:
        """Yield every row that the ledger does not know or tells otherwise, and every fact whose row is gone."""
        for what, held in _held(rows).items():
            said = self._said[what]
            for key, words in held.items():
                yield from _compared(f"{what} {' '.join(key)}", words, said.get(key))
            for key in said.keys() - held.keys():
                why = "the ledger knows it, its row is gone"
                yield Difference(what=f"{what} {' '.join(key)}", why=why, seq=said[key].seq)


def _compared(what: str, words: Words, told: Told | None) -> Iterator[Difference]:
    if told is None:
        yield Difference(what=what, why="its row stands there, the ledger knows nothing", seq=0)
        return
    for name, word in told.words.items():
        if words[name] != word:
            why = f"its row says {name} {words[name]!r:.90}, the ledger {word!r:.90}"
            yield Difference(what=what, why=why, seq=told.seq)


def _held(rows: Reader) -> dict[str, dict[Key, Words]]:
    events: dict[str, list[str]] = defaultdict(list)
    for row in _all(rows, "hook_events"):
        events[row["webhook"]].append(f"{row['entity']}.{row['action']}")
    hooks: dict[Key, Words] = {
        (row["id"],): {**row, "url": _hash(row["url"]), "events": events[row["id"]]} for row in _all(rows, "hooks")
    }
    roles: dict[Key, Words] = {
        (row["user_name"], row["role"], row["project"], row["environment"]): {} for row in _all(rows, "roles")
    }
    tags: dict[Key, Words] = {
        (row["id"], row["key"]): {"value": _hash(row["value"])} for row in _all(rows, "logged_tags")
    }
    return {
        USER: {(row["name"],): row for row in _all(rows, "users")},
        ROLE: roles,
        TOKEN: {(row["id"],): row for row in _all(rows, "tokens")},
        HOOK: hooks,
        MODEL: {(row["id"],): row for row in _all(rows, "logged")},
        TAG: tags,
    }


def _all(rows: Reader, query: str) -> Iterator[Words]:
    return (dict(row) for row in rows.rows(f"evidence.{query}"))


def _hash(text: object) -> str:
    return sha256(str(text).encode()).hexdigest()
