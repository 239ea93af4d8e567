"""What this machine has for jobs, and what is taken of it now."""

from __future__ import annotations

import os
from pathlib import Path

from ropewalk.compute.pool import Needs
from ropewalk.errors import Invalid

CARDS = "CUDA_VISIBLE_DEVICES"
_ROUNDING = 1e-9


def room_of_machine(workers_max: int) -> Needs:
    """Return a processor a worker, the memory of the machine and its graphics cards."""
    pages = os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    memory = pages * os.sysconf("SC_PAGE_SIZE") if pages else 1 << 60
    return Needs(cpu=float(workers_max), memory_bytes=memory, gpu=len(cards()))


def cards() -> list[str]:
    """Return the graphics cards that a process of ours may see, by number."""
    told = os.environ.get(CARDS)
    if told is not None:
        return [card for card in told.split(",") if card.strip() not in ("", "-1")]
    return [path.name.removeprefix("nvidia") for path in sorted(Path("/dev").glob("nvidia[0-9]*"))]


class Room:
    """Counts what jobs take.

    Args:
        whole: what there is.
    """

    def __init__(self, whole: Needs) -> None:
        self._whole = whole
        self._taken: dict[str, Needs] = {}
        self._cards = (cards() + [str(number) for number in range(whole.gpu)])[: whole.gpu]
        self._held: dict[str, list[str]] = {}

    def fits(self, needs: Needs) -> int:
        """Return how many jobs of such needs have room now.

        Raises:
            Invalid: they have none even alone.
        """
        if needs.memory_bytes > self._whole.memory_bytes or needs.gpu > self._whole.gpu:
            raise Invalid(
                "step-needs-too-much",
                "A step wants more than this machine has.",
                why=f"it wants {needs.memory_bytes >> 20} MiB and {needs.gpu} graphics cards, "
                f"there are {self._whole.memory_bytes >> 20} MiB and {self._whole.gpu}",
                fix="ask for less in @step(memory=..., gpu=...), or run it where there is more",
            )
        taken = self._taken.values()
        free = self._whole.cpu - sum(min(item.cpu, self._whole.cpu) for item in taken)
        counts = [int((free + _ROUNDING) / max(min(needs.cpu, self._whole.cpu), 0.001))]
        if needs.memory_bytes:
            left = self._whole.memory_bytes - sum(item.memory_bytes for item in taken)
            counts.append(left // needs.memory_bytes)
        if needs.gpu:
            counts.append((len(self._cards) - sum(map(len, self._held.values()))) // needs.gpu)
        return max(0, min(counts))

    def take(self, job: str, needs: Needs) -> dict[str, str]:
        """Note that a job runs; return the variables that tell it which cards are its own."""
        self._taken[job] = needs
        if not self._whole.gpu:
            return {}
        busy = {card for held in self._held.values() for card in held}
        self._held[job] = [card for card in self._cards if card not in busy][: needs.gpu]
        return {CARDS: ",".join(self._held[job])}

    def give_back(self, job: str) -> None:
        """Note that a job has ended."""
        self._taken.pop(job, None)
        self._held.pop(job, None)
