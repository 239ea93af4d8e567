"""A project in a folder, whose files a test writes, edits, plans and runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import dedent

from ropewalk.pipelines.execute import run_pipeline
from ropewalk.pipelines.plan import Plan, plan
from ropewalk.pipelines.progress import Progress, RunResult
from ropewalk.site import Site


@dataclass
class Project:
    site: Site
    told: list[Progress] = field(default_factory=list)

    def write(self, name: str, text: str) -> None:
        path = self.site.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.site.root / name).read_text()
        assert old in text
        (self.site.root / name).write_text(text.replace(old, new))

    def run(self, target: str = "pipeline.py:train", **args: object) -> RunResult:
        self.told.clear()
        self.site.clock.advance(1)  # no two runs begin at the same moment
        return run_pipeline(self.site, target=target, args=args, on_progress=self.told.append, workers_max=2)

    def plan(self, target: str = "pipeline.py:train", **args: object) -> Plan:
        return plan(self.site, target, args)

    def states(self) -> dict[str, str]:
        return {item.node: item.state for item in self.told}

    def value(self, result: RunResult, node: str) -> object:
        """Return the tree of what a node gave in a run."""
        from ropewalk.pipelines import outcomes

        (step,) = [item for item in result.steps if item.node == node]
        with self.site.db.read() as reader:
            found = outcomes.find(reader, step.key)
        assert found is not None
        return outcomes.value_of(self.site.blobs, found)
