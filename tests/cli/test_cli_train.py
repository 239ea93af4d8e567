"""What the commands that train say and do, on a project as `ropewalk init` makes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ropewalk.cli import main
from ropewalk.cli.run import command_of, split
from ropewalk.clock import SystemClock
from ropewalk.errors import Invalid
from ropewalk.house import open_house
from ropewalk.leases import take
from ropewalk.runs import run as runs
from ropewalk.source.commit import Commit

COMMIT = Commit(sha="", branch="", author="", message="", dirty=False, diff=b"")
LITTLE = """
from ropewalk import log_metric, pipeline, step

@step
def one(n: int) -> int:
    log_metric("seen", n)
    return n

@step
def two(n: int) -> int:
    return n + 1

@pipeline
def train(n: int = 1) -> int:
    return two(one(n))
"""


@pytest.fixture
def little(tmp_path: Path) -> Path:
    """A project without models, whose run takes a moment."""
    root = tmp_path / "little"
    root.mkdir()
    (root / "pipeline.py").write_text(LITTLE)
    return root


def start(root: Path, count: int, **facts: str) -> list[str]:
    """Record finished scripts; return their ids."""
    with open_house(root) as house:
        site = house.site

        def work(tx: runs.Transaction) -> list[str]:
            ids = []
            for number in range(count):
                made = runs.start(
                    tx,
                    site,
                    kind="script",
                    pipeline="python old.py",
                    args={},
                    code="",
                    commit=COMMIT,
                    environment="",
                    lease=take(site.clock.now_us(), 1, 60),
                    **{"name": f"old-{number}", **facts},
                )
                runs.move(tx, site, made.id, runs.FINISHED, fence=1)
                ids.append(made.id)
            return ids

        return site.db.write(work)


def test_init_writes_a_project_once_and_names_the_commands_to_type(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(["init", "churn"]) == 0
    first = capsys.readouterr().out
    before = (tmp_path / "churn" / "ropewalk.toml").read_text()
    (tmp_path / "churn" / "pipeline.py").write_text("# mine\n")
    assert main(["init", "churn"]) == 0

    assert first.endswith("next:\n  cd churn\n  ropewalk run\n  ropewalk ship\n  ropewalk up\n")
    assert "nothing to write" in capsys.readouterr().out
    assert (tmp_path / "churn" / "pipeline.py").read_text() == "# mine\n"
    assert 'name = "churn"' in before
    assert (tmp_path / "churn" / ".ropewalk" / "ropewalk.schema.json").exists()


def test_init_in_a_folder_with_a_pipeline_of_its_own_adds_settings_and_no_example(little):
    assert main(["init", str(little)]) == 0

    assert (little / "ropewalk.toml").exists()
    assert (little / "pipeline.py").read_text() == LITTLE
    assert not (little / "tests").exists()


@pytest.mark.parametrize("name", ["my project", "a%b"])
def test_init_refuses_a_name_that_no_project_can_have_and_makes_nothing(name, tmp_path, capsys):
    assert main(["init", str(tmp_path / name)]) == 1

    assert "  fix:   ropewalk init my-project" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_init_does_not_take_a_file_for_a_folder(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")

    assert main(["init", str(tmp_path / "notes.txt")]) == 1

    assert "notes.txt is a file" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_init_says_which_extra_the_example_needs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ropewalk.cli.init.find_spec", lambda name: None if name == "sklearn" else object())

    main(["init", str(tmp_path / "churn")])

    assert 'pip install "ropewalk[sklearn]"' in capsys.readouterr().out


def test_run_prints_each_step_and_the_second_time_answers_from_the_cache(little, capsys):
    assert main(["--project", str(little), "run"]) == 0
    first = capsys.readouterr()
    assert main(["--project", str(little), "run"]) == 0
    second = capsys.readouterr()

    assert first.out.splitlines()[0].startswith("+ 1/2 one")
    assert "train-1 finished: 2 steps, 0 from the cache" in first.out
    assert "metric  value\nseen        1\n" in first.out
    assert first.err == "running pipeline.py:train ...\n"
    assert "= 2/2 two                cached" in second.out
    assert "2 steps, 2 from the cache" in second.out


def test_a_machine_is_told_the_run_its_steps_and_its_metrics(little, capsys):
    main(["--project", str(little), "--json", "run"])

    said = capsys.readouterr()
    answer = json.loads(said.out)["result"]
    assert said.err == ""
    assert (answer["name"], answer["state"], answer["metrics"]) == ("train-1", "finished", {"seen": 1})
    assert answer["steps"] == [{"node": "one", "state": "done"}, {"node": "two", "state": "done"}]


@pytest.mark.parametrize("command", ["run", "plan"])
def test_where_no_pipeline_is_the_project_is_told_to_begin_and_nothing_is_left(command, tmp_path, capsys):
    status = main(["--project", str(tmp_path), command])

    assert status == 1
    assert capsys.readouterr().err.splitlines()[-1] == "  fix:   ropewalk init"
    assert list(tmp_path.iterdir()) == []


def test_a_project_whose_pipeline_is_gone_is_told_what_to_edit(little, capsys):
    (little / "ropewalk.toml").write_text('name = "little"\npipeline = "gone.py:train"\n')

    assert main(["--project", str(little), "run"]) == 1

    assert 'pipeline = "FILE.py:FUNCTION"' in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_library_that_is_not_there_is_told_with_what_brings_it(command, little, capsys):
    (little / "pipeline.py").write_text(f"import no_such_library.part\n{LITTLE}")

    assert main(["--project", str(little), command]) == 1

    assert capsys.readouterr().err.splitlines()[-1] == "  fix:   pip install no_such_library"


def test_words_are_a_target_and_arguments_in_any_order():
    assert split(["a.py:f", "n=1", "x=a=b"]) == ("a.py:f", {"n": "1", "x": "a=b"})
    assert split([]) == ("", {})
    with pytest.raises(Invalid, match="not understood"):
        split(["a.py:f", "b.py:g"])


def test_plan_says_what_would_run_and_changes_nothing(little, capsys):
    main(["--project", str(little), "run"])
    capsys.readouterr()

    main(["--project", str(little), "plan"])
    same = capsys.readouterr().out
    main(["--project", str(little), "plan", "n=2"])
    other = capsys.readouterr().out
    main(["--project", str(little), "--json", "runs"])

    assert "2 answered from the cache" in same
    assert "1 to run; 1 known once the steps before have run" in other
    assert other.endswith("next:\n  ropewalk run n=2\n")
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["result"]] == ["train-1"]


def test_why_names_the_function_that_was_edited(little, capsys):
    main(["--project", str(little), "run"])
    (little / "pipeline.py").write_text(LITTLE.replace("n + 1", "n + 2"))
    main(["--project", str(little), "run"])
    capsys.readouterr()

    assert main(["--project", str(little), "why", "two"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("two in train-2: ran\n")
    assert "two" in said.splitlines()[1]


def test_runs_are_paged_newest_first_and_the_printed_command_shows_the_next_page(little, capsys):
    ids = start(little, 7)
    names = []
    words = ["runs", "--count", "3"]
    while words:
        assert main(["--project", str(little), *words]) == 0
        text = capsys.readouterr().out
        names += [line.split()[0] for line in text.splitlines() if line.startswith("old-")]
        further = [line for line in text.splitlines() if "--after" in line]
        words = further[0].split()[1:] if further else []

    assert names == [f"old-{number}" for number in range(6, -1, -1)]
    assert len(set(ids)) == 7


def test_a_run_whose_name_means_a_newer_one_is_called_by_its_id(little, capsys):
    ids = start(little, 2, name="same")

    main(["--project", str(little), "runs"])

    said = capsys.readouterr().out
    assert f"ropewalk diff {ids[0]} same" in said
    assert main(["--project", str(little), "diff", *ids]) == 0


@pytest.mark.parametrize("words", [["runs", "--count", "0"], ["runs", "--count", "x"], ["data", "--count", "1001"]])
def test_a_count_that_is_none_is_refused(words, shipped, capsys):
    assert main(["--project", str(shipped), *words]) == 2
    assert "wanted a whole number from 1 to 1,000" in capsys.readouterr().err


def test_a_filter_that_nothing_fits_says_so_and_a_broken_one_shows_a_good_one(shipped, capsys):
    assert main(["--project", str(shipped), "runs", "--filter", "metrics.roc_auc > 2"]) == 0
    assert "no run fits" in capsys.readouterr().out
    assert main(["--project", str(shipped), "runs", "--filter", "roc_auc"]) == 1
    fix = capsys.readouterr().err.splitlines()[-1]
    assert "ropewalk runs --filter" in fix


def test_one_run_is_shown_whole(shipped, capsys):
    assert main(["--project", str(shipped), "runs", "train-1"]) == 0

    said = capsys.readouterr().out
    assert "state     finished" in said
    assert 'pipeline  pipeline.py:train {"strength":1.0}' in said
    assert "roc_auc" in said
    assert "--into ../train-1" in said


def test_diff_shows_parameters_metrics_and_code_that_differ(little, capsys):
    main(["--project", str(little), "run"])
    (little / "pipeline.py").write_text(LITTLE.replace("n + 1", "n + 2"))
    main(["--project", str(little), "run", "n=5"])
    capsys.readouterr()

    assert main(["--project", str(little), "diff", "train-1", "train-2"]) == 0

    said = capsys.readouterr().out
    assert "-    return n + 1" in said
    assert "+    return n + 2" in said
    assert ["seen", "1.0", "5.0"] in [line.split() for line in said.splitlines()]


def test_restore_writes_code_data_and_model_and_not_over_anything(shipped, tmp_path, capsys):
    into = tmp_path / "back"

    assert main(["--project", str(shipped), "restore", "train-1", "--into", str(into)]) == 0
    said = capsys.readouterr().out
    assert main(["--project", str(shipped), "restore", "train-1", "--into", str(into)]) == 1

    assert (into / "code" / "pipeline.py").read_bytes() == (shipped / "pipeline.py").read_bytes()
    assert (into / "data" / "load" / "load.parquet").exists()
    assert "every digest checked" in said
    assert "folder-not-empty" in capsys.readouterr().err


def test_data_is_listed_profiled_and_checked_against_its_own_contract(shipped, tmp_path, capsys):
    assert main(["--project", str(shipped), "data", "--json"]) == 0
    digest = json.loads(capsys.readouterr().out)["result"][0]["digest"]
    page, contract = tmp_path / "page.html", tmp_path / "contract.toml"

    assert main(["--project", str(shipped), "data", "profile", digest, "--html", str(page)]) == 0
    assert "mean_radius" in capsys.readouterr().out
    assert main(["--project", str(shipped), "data", "contract", digest]) == 0
    contract.write_text(capsys.readouterr().out)
    assert main(["--project", str(shipped), "data", "check", digest, "--contract", str(contract)]) == 0
    assert "569 rows: all fit" in capsys.readouterr().out
    assert main(["--project", str(shipped), "data", "lineage", digest]) == 0
    assert "the line of data begins here" in capsys.readouterr().out
    assert page.read_text().startswith("<!doctype html>")


def test_rows_that_break_a_contract_are_named_and_end_with_status_1(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("good.csv").write_text("age,name\n1,a\n2,b\n")
    Path("bad.csv").write_text("age,name\nyoung,a\n2,b\n")

    assert main(["data", "contract", "good.csv"]) == 0
    Path("contract.toml").write_text(capsys.readouterr().out)
    status = main(["data", "check", "bad.csv", "--contract", "contract.toml"])

    said = capsys.readouterr().out
    assert status == 1
    assert said.startswith("error: ")
    assert "age" in said
    assert not Path(".ropewalk").exists()


def test_what_resumes_a_run_is_typed_as_its_arguments_were(little):
    with open_house(little) as house:
        site = house.site
        made = site.db.write(
            lambda tx: runs.start(
                tx,
                site,
                kind="pipeline",
                pipeline="pipeline.py:train",
                args={"leaves": [7, 15], "quick": True, "note": "a b"},
                code="",
                commit=COMMIT,
                environment="",
                lease=take(SystemClock().now_us(), 1, 60),
            )
        )

    assert command_of(made) == "ropewalk run pipeline.py:train leaves=7,15 'note=a b' quick=true"


def test_a_project_that_was_moved_still_answers_from_its_cache(project, tmp_path, capsys):
    moved = Path(shutil.move(project, tmp_path / "elsewhere"))

    assert main(["--project", str(moved), "plan"]) == 0

    assert "2 answered from the cache" in capsys.readouterr().out


def test_runs_are_ordered_by_what_one_asks_for(little, capsys):
    for n in (5, 9, 1):
        main(["--project", str(little), "run", f"n={n}"])
    capsys.readouterr()

    assert main(["--project", str(little), "runs", "--order", "metrics.seen DESC", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert main(["--project", str(little), "runs", "--order", "seen sideways"]) == 1
    fix = capsys.readouterr().err.splitlines()[-1]

    assert [run["metrics"]["seen"] for run in said["result"]] == [9.0, 5.0, 1.0]
    assert "ropewalk runs --order" in fix
