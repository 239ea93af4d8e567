"""Which modules and names bytes speak of where they are a pickle; nothing of it is loaded."""

from __future__ import annotations

import re

_HEAD = re.compile(rb"\x80[\x02-\x05]")
_NAMES = frozenset({"GLOBAL", "INST"})
BYTES_MAX = 16 << 20


def modules_in(data: bytes) -> dict[str, dict[str, None]]:
    """Return, by module, the names that a pickle may look up in it; nothing where the bytes are no pickle.

    What newer protocols keep apart on a stack is not put together here: each text may be a name of each module.
    """
    old = data.endswith(b".") and b"\n" in data
    if not (_HEAD.match(data) or old) or len(data) > BYTES_MAX:
        return {}
    import pickletools

    found: dict[str, dict[str, None]] = {}
    texts: dict[str, None] = {}
    try:
        for code, argument, _ in pickletools.genops(data):
            if code.name in _NAMES:
                module, _, name = str(argument).partition(" ")
                found.setdefault(module, {})[name.partition(".")[0]] = None
            elif isinstance(argument, str):
                texts[argument] = None
    except Exception:  # noqa: BLE001 - other bytes that begin like a pickle may fail in any way
        return {}
    names = dict.fromkeys(text.partition(".")[0] for text in texts if text.partition(".")[0].isidentifier())
    for module in texts:
        if all(part.isidentifier() for part in module.split(".")):
            found[module] = {**found.get(module, {}), **names}
    return found
