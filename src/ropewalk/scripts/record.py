"""What is written of a script's run: parameters, metrics, files, data sets, its model and the whole record."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk.errors import RopewalkError
from ropewalk.refs import canonical
from ropewalk.runs import run as runs
from ropewalk.runs.inputs import Dataset
from ropewalk.runs.keys import KEY_LETTERS_MAX, PARAM_LETTERS_MAX, is_key
from ropewalk.runs.log import LogEntry, check_path
from ropewalk.runs.run import Run
from ropewalk.scripts.child import Ending
from ropewalk.scripts.program import Program
from ropewalk.scripts.secrets import Secrets, options_in
from ropewalk.scripts.seen import Seen, outputs
from ropewalk.site import Site

OURS = "ropewalk"
DATASETS_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Everything that is known of a script when it has ended.

    Attributes:
        program: what ran.
        secrets: what is taken out of all that is written.
        ending: how it ended.
        seen: what was seen of it.
        kept: what became of its model: `name`, and `manifest` with `metrics` and `held`, or `why`; empty for no model.
    """

    program: Program
    secrets: Secrets
    ending: Ending
    seen: Seen
    kept: dict[str, Any]

    def state(self) -> tuple[str, str]:
        """Return the state that the run ends in, and why."""
        ending = self.ending
        if not ending.status:
            return runs.FINISHED, ""
        if ending.told:
            return runs.CANCELLED, f"{signal.Signals(ending.told).name} was sent while it ran; it {ending.how}"
        return runs.FAILED, self.secrets.clean(self.seen.error or f"it {ending.how}")

    def entries(self, site: Site, run: Run) -> list[LogEntry]:
        """Return what is logged, its files kept already."""
        now_us = site.clock.now_us()
        given = self.secrets.parameters(self.seen.arguments or options_in(self.program.given))
        texts = {key: value[:PARAM_LETTERS_MAX] for key, value in given.items() if is_key(key)}
        found = [LogEntry(kind="param", key=key, value=value, at_us=now_us) for key, value in texts.items()]
        numbers = {"exit_status": float(self.ending.status), "seconds": (now_us - run.started_us) / 1e6}
        if "manifest" in self.kept:
            numbers |= {key: float(value) for key, value in self.kept["metrics"].items()}
            model = {"manifest": self.kept["manifest"]}
            found.append(LogEntry(kind="model", key=self.kept["name"], value=model, at_us=now_us))
        found += [LogEntry(kind="metric", key=key, value=value, at_us=now_us) for key, value in numbers.items()]
        for name, digest in self._files(site):
            value = {"digest": digest, "bytes": site.blobs.size(digest)}
            found.append(LogEntry(kind="artifact", key=name, value=value, at_us=now_us))
        return found

    def _files(self, site: Site) -> Iterator[tuple[str, str]]:
        """Keep the record, what the script said, and what it wrote; yield paths and digests."""
        clean, ending = self.secrets.clean, self.ending
        yield f"{OURS}/record.json", site.blobs.put(canonical(self._record()))
        yield f"{OURS}/stdout.txt", site.blobs.put(clean(ending.stdout.text()).encode())
        yield f"{OURS}/stderr.txt", site.blobs.put(clean(ending.stderr.text()).encode())
        for number, job in enumerate(self.seen.jobs):
            name = f"{OURS}/config-{number}.yaml" if job.several else f"{OURS}/config.yaml"
            yield name, site.blobs.put(clean(job.yaml).encode())
        here = Path.cwd()
        for file in outputs(self.seen, site.root, here):
            home = site.root if file.place.is_relative_to(site.root) else here
            name = file.place.relative_to(home).as_posix()
            if name.startswith(f"{OURS}/"):
                continue
            with suppress(OSError, RopewalkError):  # gone meanwhile, or a name that no artifact can have
                yield check_path(name), site.blobs.put_file(file.place)

    def _record(self) -> dict[str, Any]:
        facts = {
            "schema": 1,
            "command": list(self.secrets.words),
            "status": self.ending.status,
            "signal": self.ending.told,
            **self.secrets.facts(self.seen.plain()),
            "arguments": self.secrets.parameters(self.seen.arguments),
        }
        return facts | {"kept": self.secrets.facts({key: str(value) for key, value in self.kept.items()})}

    def datasets(self) -> list[Dataset]:
        """Return the files that were read as data sets, told by their bytes."""
        return [
            Dataset(
                name=file.path,
                digest=file.digest.removeprefix("sha256:")[:36],
                source_type="local",
                source=json.dumps({"path": file.path, "bytes": file.bytes, "digest": file.digest}),
            )
            for file in self.seen.read[:DATASETS_MAX]
            if file.digest and len(file.path) <= KEY_LETTERS_MAX
        ]
