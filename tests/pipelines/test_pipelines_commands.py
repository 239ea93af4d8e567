"""Commands as steps: run once for what they read, their outputs put back from the cache, in the needed order."""

from __future__ import annotations

import pytest

from pipelines_project import Project
from ropewalk.errors import Invalid
from ropewalk.pipelines.commands import command_step
from ropewalk.site import Site

PIPELINE = """
    from ropewalk import command_step, pipeline, step

    clean = command_step("tr a-z A-Z < raw.txt > clean.txt; echo ran >> ran.log", reads=["raw.txt"],
                         writes=["clean.txt"], name="clean")
    parts = command_step(["sh", "split.sh"], reads=["clean.txt", "split.sh"], writes=["parts"], name="parts")

    @step(reads=["parts"])
    def count(parts: dict) -> int:
        return len(parts)

    @pipeline
    def train() -> int:
        return count(parts(clean()))
"""
SPLIT = "mkdir parts; for word in $(cat clean.txt); do echo $word > parts/$word; done; echo split >> ran.log"


@pytest.fixture
def project(site: Site) -> Project:
    made = Project(site)
    made.write("pipeline.py", PIPELINE)
    made.write("split.sh", SPLIT)
    made.write("raw.txt", "one two")
    return made


def ran(project: Project) -> list[str]:
    log = project.site.root / "ran.log"
    return log.read_text().split() if log.exists() else []


def test_a_command_runs_once_for_what_it_reads_and_its_files_come_back(project: Project) -> None:
    root = project.site.root
    first = project.run()
    (root / "clean.txt").unlink()
    (root / "parts" / "ONE").write_text("by hand")
    (root / "parts" / "THREE").write_text("by hand")
    again = project.run()

    assert ran(project) == ["ran", "split"]
    assert (root / "clean.txt").read_text() == "ONE TWO"
    assert sorted(path.name for path in (root / "parts").iterdir()) == ["ONE", "TWO"]
    assert (root / "parts" / "ONE").read_text() == "ONE\n"
    assert project.value(first, "count") == project.value(again, "count") == 2
    assert {step.node: step.state for step in again.steps} == {
        "clean": "cached",
        "clean_files": "done",
        "parts": "cached",
        "parts_files": "done",
        "count": "cached",
    }


def test_what_it_reads_and_the_command_itself_count_and_nothing_else_does(project: Project) -> None:
    project.run()
    project.write("notes.txt", "nothing of theirs")
    project.run()
    assert ran(project) == ["ran", "split"]
    project.write("raw.txt", "one two three")
    project.run()
    assert ran(project) == ["ran", "split"] * 2
    project.edit("pipeline.py", "tr a-z A-Z", "tr a-z 0-9")
    project.run()

    assert ran(project) == ["ran", "split"] * 3


def test_an_output_that_stays_the_same_spares_what_comes_after(project: Project) -> None:
    project.run()
    project.edit("pipeline.py", "echo ran", "echo other")
    project.run()

    assert ran(project) == ["ran", "split", "other"]


def test_outputs_are_artifacts_of_the_run_and_not_swept_away(project: Project) -> None:
    from ropewalk.runs import keep

    done = project.run()

    with project.site.db.read() as rows:
        kept = {fact.key: fact.content()["digest"] for fact in keep.facts(rows, done.run.id, "artifact")}
    assert sorted(kept) == ["outputs/clean.txt", "outputs/parts/ONE", "outputs/parts/TWO"]
    assert project.site.blobs.get(kept["outputs/clean.txt"]) == b"ONE TWO"


def test_an_old_output_is_not_taken_for_a_new_one(project: Project) -> None:
    project.run()
    project.edit("pipeline.py", "> clean.txt; echo ran", "> other.txt; echo ran")

    with pytest.raises(Invalid, match="did not write what it declares"):
        project.run()


@pytest.mark.parametrize(
    ("command", "why"),
    [("exit 3", "status 3"), ("no-such-program-here", "status 127")],
)
def test_a_command_that_fails_fails_its_step_with_its_status(project: Project, command: str, why: str) -> None:
    project.edit("pipeline.py", "tr a-z A-Z < raw.txt > clean.txt; echo ran >> ran.log", command)

    with pytest.raises(Invalid) as caught:
        project.run()

    assert caught.value.code == "step-failed"
    assert f"A command ended with {why}: {command}" in caught.value.what
    assert caught.value.where == command


def test_a_command_that_fails_is_told_with_its_own_last_words(project: Project) -> None:
    project.edit("pipeline.py", "tr a-z A-Z", "echo first >&2; echo no such column >&2; exit 3; tr a-z A-Z")

    with pytest.raises(Invalid) as caught:
        project.run()

    assert caught.value.why == "no such column"


def test_what_we_keep_of_its_outputs_is_nothing_that_it_reads(project: Project) -> None:
    project.run()

    assert [item.message for item in project.told if "does not declare" in item.message] == []


def test_without_a_shell_a_program_that_is_not_there_is_told(project: Project) -> None:
    project.edit("pipeline.py", '["sh", "split.sh"]', '["no-such-program-here"]')

    with pytest.raises(Invalid, match="command could not be run"):
        project.run()


@pytest.mark.parametrize("path", ["/etc/passwd", "../out", "", ".", ".ropewalk/x", "parts/*.csv"])
def test_an_output_outside_of_the_project_is_refused(path: str) -> None:
    with pytest.raises(Invalid, match="outputs, by name"):
        command_step("true", writes=[path])


def test_outside_of_a_run_it_is_the_command_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    stage = command_step("echo hi > out.txt; chmod +x out.txt", writes="out.txt")

    made = stage()

    assert (tmp_path / "out.txt").read_text() == "hi\n"
    assert made["out.txt"][1] == "x"


@pytest.mark.parametrize("name", ["../../up", "--end", "a=b", "a:b", "{{workflow.uid}}", "two\nlines", "..", "ü" * 101])
def test_a_name_that_is_no_file_or_no_word_is_refused_before_anything_runs(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        command_step("true", name=name)

    assert refused.value.code == "step-name"


def test_names_of_any_language_are_taken() -> None:
    assert command_step("true", name="Zahlen säubern (2)").__name__ == "Zahlen säubern (2)"
