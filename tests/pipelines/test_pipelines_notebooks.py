"""Notebooks as steps, really run by papermill: parameters, the cache, what is kept of them, and what fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipelines_project import Project
from ropewalk.errors import Invalid, NotFound
from ropewalk.pipelines.notebooks import notebook_step
from ropewalk.runs import keep
from ropewalk.site import Site

pytestmark = pytest.mark.xdist_group("notebooks")
PIPELINE = """
    from ropewalk import notebook_step, pipeline, step

    report = notebook_step("report.ipynb", parameters={"month": 1}, reads=["sales.csv"], writes=["summary.json"])

    @step
    def factor() -> int:
        return 10

    @step
    def read(files: dict) -> str:
        return open("summary.json").read()

    @pipeline
    def train(month: int = 1) -> str:
        return read(report(month=month, factor=factor()))
"""


def cell(source: str, *tags: str, outputs: list[Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"cell_type": "code", "id": f"c{abs(hash(source))}", "metadata": {"tags": list(tags)}}
    return {**found, "source": source, "outputs": outputs or [], "execution_count": None}


def notebook(*cells: dict[str, Any]) -> str:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


CELLS = (
    cell("month = 0\nfactor = 1", "parameters"),
    cell("import json\nsales = [int(n) for n in open('sales.csv').read().split()]\ntotal = sales[month] * factor"),
    cell(
        "json.dump({'total': total}, open('summary.json', 'w'))\nopen('ran.log', 'a').write('x')\nprint('total', total)"
    ),
    cell("from IPython.display import HTML, display\ndisplay(HTML('<script>alert(1)</script>'))\n{'total': total}"),
)


@pytest.fixture
def project(site: Site) -> Project:
    made = Project(site)
    made.write("pipeline.py", PIPELINE)
    made.write("report.ipynb", notebook(*CELLS))
    made.write("sales.csv", "3 4 5")
    return made


def times(project: Project) -> int:
    return len((project.site.root / "ran.log").read_text())


def test_a_notebook_runs_with_its_parameters_and_is_kept_executed(project: Project) -> None:
    done = project.run()

    assert json.loads((project.site.root / "summary.json").read_text()) == {"total": 40}
    with project.site.db.read() as rows:
        kept = {fact.key: fact.content()["digest"] for fact in keep.facts(rows, done.run.id, "artifact")}
    texts = {name: project.site.blobs.get(digest).decode() for name, digest in kept.items()}
    executed = json.loads(texts["notebooks/report.ipynb"])
    assert [one["metadata"]["tags"] for one in executed["cells"]][1] == ["injected-parameters"]
    assert texts["notebooks/report/cell-4-1.txt"] == "total 40\n"
    assert texts["outputs/summary.json"] == '{"total": 40}'
    assert "{'total': 40}" in texts.values()
    others = {name: text for name, text in texts.items() if not name.endswith(".ipynb")}
    assert not any("<script>" in text for text in others.values())

    # Text, outputs and metadata are for people: the notebook saved again after a look at it is the same one.
    saved = [dict(one, execution_count=7, metadata={**one["metadata"], "collapsed": True}) for one in CELLS]
    words = {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# A title"}
    project.write("report.ipynb", notebook(words, *saved))
    (project.site.root / "summary.json").unlink()
    again = project.run()

    assert times(project) == 1
    assert {step.node: step.state for step in again.steps}["report"] == "cached"
    assert json.loads((project.site.root / "summary.json").read_text()) == {"total": 40}
    with project.site.db.read() as rows:
        assert {fact.key for fact in keep.facts(rows, again.run.id, "artifact")} == set(kept)

    # Another parameter, another file and other code are another notebook; a plan says so without a kernel.
    assert verdict(project) == "hit"
    assert verdict(project, month=2) == "run"
    project.write("sales.csv", "3 4 6")
    assert verdict(project) == "run"
    project.write("sales.csv", "3 4 5")
    project.write("report.ipynb", notebook(*CELLS[:2], cell(CELLS[2]["source"] + "\n1"), CELLS[3]))
    assert verdict(project) == "run"


def verdict(project: Project, **args: object) -> str:
    (found,) = [one.verdict for one in project.plan(**args).nodes if one.node == "report"]
    return found


def test_a_cell_that_fails_is_named(project: Project) -> None:
    project.write("report.ipynb", notebook(CELLS[0], cell("1 / 0")))

    with pytest.raises(Invalid) as caught:
        project.run()

    assert caught.value.code == "step-failed"
    assert "A cell of the notebook has failed: ZeroDivisionError: division by zero" in caught.value.what


def test_a_parameter_that_the_notebook_does_not_set_is_refused(project: Project) -> None:
    project.write("report.ipynb", notebook(cell("month = 0", "parameters"), *CELLS[1:]))

    with pytest.raises(Invalid, match="no parameter 'factor'"):
        project.run()


def test_a_notebook_that_is_not_there_or_none_is_told_before_anything_runs(tmp_path) -> None:
    bad = tmp_path / "bad.ipynb"
    bad.write_text("{}")

    with pytest.raises(NotFound, match="no such notebook"):
        notebook_step("missing.ipynb")
    with pytest.raises(Invalid, match="not a notebook"):
        notebook_step(str(bad))
