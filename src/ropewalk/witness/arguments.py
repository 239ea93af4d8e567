"""What a script's own argparse made of its command line."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from ropewalk.witness.notes import Notes

VALUES_MAX = 500


def watch(module: ModuleType, notes: Notes) -> None:
    """Note the values of the last parser that a script asks, and which of them it was not given.

    Args:
        module: argparse.
        notes: where they go.
    """
    parser: Any = module.ArgumentParser
    original = parser.parse_known_args

    @functools.wraps(original)
    def parse_known_args(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - argparse's own signature
        found = original(self, *args, **kwargs)
        try:
            values: dict[str, Any] = {**vars(found[0])}
            notes.facts["arguments"] = {str(key): str(value) for key, value in list(values.items())[:VALUES_MAX]}
        except Exception as error:  # noqa: BLE001 - a namespace of another kind is the script's business
            notes.trouble("arguments", error)
        return found

    parser.parse_known_args = parse_known_args
