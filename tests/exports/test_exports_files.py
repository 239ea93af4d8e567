"""What is written out: the same bytes for the same graph, checked against the disk, with nothing secret in it."""

from __future__ import annotations

import ast
import json
import shlex
from dataclasses import replace

import pytest

from exports.lettered import notes
from exports.ordered import ordered, text_of, timed
from ropewalk.cli import main
from ropewalk.errors import RopewalkError
from ropewalk.exports.targets import TARGETS

IMAGE = {"image": "example/letters:1"}


def words_of(text: str, name: str) -> list[dict[str, object]]:
    """Return the keywords of each call of a function in a Python file, literals read, others as they are written."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
            words = {}
            for word in node.keywords:
                try:
                    words[word.arg] = ast.literal_eval(word.value)
                except ValueError:
                    words[word.arg] = ast.unparse(word.value)
            found.append(words)
    return found


def test_the_same_graph_gives_the_same_bytes_and_nothing_runs(project, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "correct-horse-battery")

    first = ordered(project, "prefect")
    again = ordered(project, "prefect")

    assert first.changed
    assert not again.changed
    assert first.path.read_text() == again.text
    assert "DB_PASSWORD" in again.text
    assert "correct-horse" not in again.text
    assert str(project.site.root) not in again.text
    assert notes(project.site.root) == {}
    with project.site.db.read() as rows:
        assert rows.rows("runs.by_name", name="train-1") == []


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_depends_on_the_order_of_sets(exported, target):
    assert text_of(exported, target) == text_of(replace(exported), target)
    assert text_of(exported, target).isascii()
    assert all(line == line.rstrip() for line in text_of(exported, target).splitlines())


def test_the_header_holds_the_command_that_makes_the_file_anew(project):
    made = ordered(project, "argo", args={"leaves": "7,15,31"}, schedule="none", output="out/argo.txt", **IMAGE)
    line = next(line for line in made.text.splitlines() if line.startswith("#   ropewalk export"))
    made.path.unlink()

    status = main(["--project", str(project.site.root), *shlex.split(line.removeprefix("#   "))[1:]])

    assert status == 0
    assert made.path.read_text() == made.text
    assert "fit-3" in made.text


def test_a_check_says_what_differs_and_writes_nothing(project, capsys):
    root = project.site.root
    command = ["--project", str(root), "export", "airflow", "pipeline.py:train"]
    path = root / "exports/airflow/train.py"

    absent = main([*command, "--check"])
    assert not path.exists()
    assert main(command) == 0
    capsys.readouterr()
    current = main([*command, "--check"])
    assert "is current: 6 steps of pipeline.py:train" in capsys.readouterr().out
    project.edit("pipeline.py", "@step(retries=1, backoff=", "@step(retries=4, backoff=")
    before = path.read_text()
    stale = main([*command, "--check"])
    said = capsys.readouterr().out
    machine = main(["--json", *command, "--check"])

    assert (absent, current, stale, machine) == (1, 0, 1, 1)
    assert "-            retries=3," in said
    assert "+            retries=6," in said
    result = json.loads(capsys.readouterr().out)["result"]
    assert (result["current"], result["written"], result["file"]) == (False, False, "exports/airflow/train.py")
    assert path.read_text() == before


def test_airflow_is_told_retries_limits_schedule_and_parameters(exported):
    text = text_of(exported, "airflow")
    tasks = {task["task_id"]: task for task in words_of(text, "RopewalkStep")}
    (dag,) = words_of(text, "DAG")
    compile(text, "train.py", "exec")

    assert sorted(tasks) == sorted(["load", "double", "fit", "fit-2", "best", "publish", "ropewalk-end"])
    assert (tasks["fit"]["retries"], tasks["fit"]["retry_delay"]) == (3, "timedelta(seconds=1)")
    assert tasks["fit"]["execution_timeout"] == "timedelta(seconds=150)"
    assert "execution_timeout" not in tasks["double"]
    assert (tasks["double"]["pool_slots"], tasks["double"]["priority_weight"]) == (2, 3)
    assert tasks["publish"]["secrets"] == ["DB_PASSWORD"]
    assert tasks["ropewalk-end"]["trigger_rule"] == "all_done"
    assert dag["schedule"] == "CronDataIntervalTimetable('0 6 * * MON', timezone='Europe/Berlin')"
    assert (dag["catchup"], dag["max_active_runs"]) == (True, 1)
    assert [words["type"] for words in words_of(text, "Param")] == [
        ["array", "string"],
        ["integer"],
        ["string", "null"],
    ]


def test_airflow_in_containers_is_told_what_a_pod_takes(exported):
    text = text_of(exported, "airflow", secret="letters", **IMAGE)
    pods = words_of(text, "V1Container")
    compile(text, "train.py", "exec")

    assert len(pods) == 6
    assert {pod["image"] for pod in pods} == {"example/letters:1"}
    assert "'limits': {'memory': '100Mi'}" in text.replace("limits={", "'limits': {")
    assert "k8s.V1SecretKeySelector(name='letters', key='DB_PASSWORD', optional=False)" in text


def test_a_start_of_airflow_tells_the_pipeline_its_interval(exported):
    text = text_of(replace(exported, parameters={"interval_start": "", "interval_end": ""}), "airflow")

    assert "context['data_interval_start'].astimezone" in text
    compile(text, "train.py", "exec")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ({"every": "90m"}, "DeltaDataIntervalTimetable(timedelta(seconds=5400))"),
        ({"every": "90m", "catch_up": "none"}, "DeltaTriggerTimetable(timedelta(seconds=5400))"),
        ({"cron": "0 6 * * *", "catch_up": "none"}, "CronTriggerTimetable('0 6 * * *', timezone='UTC')"),
    ],
)
def test_what_is_said_of_missed_starts_chooses_airflows_timetable(exported, words, wanted):
    (dag,) = words_of(text_of(timed(exported, **words), "airflow"), "DAG")

    assert (dag["schedule"], dag["catchup"]) == (wanted, False)


def test_prefect_is_told_retries_limits_schedule_and_parameters(exported):
    text = text_of(exported, "prefect")
    steps = {step["name"]: step for step in words_of(text, "with_options")}
    (served,) = words_of(text, "serve")
    compile(text, "train.py", "exec")

    assert sorted(steps) == sorted(["load", "double", "fit", "fit-2", "best", "publish", "ropewalk-end"])
    assert (steps["fit"]["retries"], steps["fit"]["retry_delay_seconds"]) == (3, [1.0, 2.0, 4.0])
    assert (steps["fit"]["timeout_seconds"], "timeout_seconds" in steps["double"]) == (150, False)
    assert served["schedule"] == "Cron('0 6 * * MON', timezone='Europe/Berlin')"
    assert "leaves=[7, 15]" in text
    assert "SECRETS = {'publish': ['DB_PASSWORD']}" in text


def test_kubeflow_is_told_retries_resources_secrets_and_typed_parameters(exported):
    text = text_of(exported, "kubeflow", secret="letters")
    steps = {call.args[0].value: call for call in ast.walk(ast.parse(text)) if isinstance(call, ast.Call)
             and ast.unparse(call.func) == "step"}  # fmt: skip
    fit = {word.arg: ast.unparse(word.value) for word in steps["fit"].keywords}
    compile(text, "train.py", "exec")

    assert sorted(steps) == sorted(["load", "double", "fit", "fit-2", "best", "publish", ""])
    assert (fit["retries"], fit["wait"], fit["cpu"], fit["memory"]) == ("1", "'1s'", "'500m'", "'100Mi'")
    assert "month: int = 4" in text
    assert "leaves: str = '[7, 15]'" in text
    assert "SECRET = 'letters'" in text
    assert "cron_expression='0 0 6 * * MON'" in text
    assert "no_catchup=False" in text
    assert "this schedule is meant in Europe/Berlin" in text


@pytest.mark.parametrize("target", ["argo", "kubeflow"])
def test_what_runs_in_containers_asks_for_an_image(project, target):
    with pytest.raises(RopewalkError) as caught:
        ordered(project, target)

    assert caught.value.code == "export-image"
    assert caught.value.fix == f"ropewalk export {target} pipeline.py:train --image REGISTRY/NAME:TAG"


def test_of_several_schedules_one_is_to_be_named_and_its_arguments_count(project):
    project.write(
        "ropewalk.toml",
        """
        name = "letters"
        [[schedules]]
        name = "monthly"
        pipeline = "pipeline.py:train"
        cron = "0 0 1 * *"
        args = { leaves = [7] }
        [[schedules]]
        name = "on-push"
        pipeline = "pipeline.py:train"
        webhook = true
        """,
    )

    with pytest.raises(RopewalkError) as caught:
        ordered(project, "airflow")
    made = ordered(project, "airflow", schedule="monthly").text

    assert caught.value.code == "export-schedule"
    assert "monthly, train" in caught.value.what
    assert "'0 0 1 * *'" in made
    assert "fit-2" not in made
    assert "# Not written here, since it is no clock: on-push (POST /api/v1/triggers/on-push)" in made


def test_a_pipeline_without_steps_or_with_an_argument_that_is_no_text_is_refused(project):
    project.write(
        "bare.py",
        """
        from datetime import date
        from ropewalk import pipeline, step

        @step
        def load(day) -> int:
            return day.day

        @pipeline
        def nothing():
            pass

        @pipeline
        def dated(day: date = date(2026, 1, 2)):
            load(day)
        """,
    )

    codes = []
    for name in ("nothing", "dated"):
        with pytest.raises(RopewalkError) as caught:
            ordered(project, "airflow", pipeline=f"bare.py:{name}")
        codes.append(caught.value.code)

    assert codes == ["export-empty", "export-argument"]
    assert not (project.site.root / "exports").exists()


def test_a_thousand_steps_are_written_out(project):
    made = ordered(project, "argo", pipeline="pipeline.py:plain", args={"leaves": list(range(1, 1001))}, **IMAGE)

    assert made.text.count("retryStrategy") == 1004 - 1


TRICKY = dict.fromkeys(
    ["after", "cpu", "flow_run", "given", "gpu", "json", "name", "os", "retries", "run", "step", "wait", "words"], 1
)


@pytest.mark.parametrize("target", ["kubeflow", "prefect"])
def test_a_parameter_may_be_called_like_anything_in_the_file(exported, target):
    tree = ast.parse(text_of(replace(exported, parameters=TRICKY), target))

    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    _, called = functions["train"].body
    assert {node.id for node in ast.walk(called) if isinstance(node, ast.Name)} - set(TRICKY) == {"ropewalk_steps"}
    assert ast.unparse(called.value.args[0]) == "{" + ", ".join(f"'{name}': {name}" for name in TRICKY) + "}"
    own = {arg.arg for arg in functions["ropewalk_steps"].args.args}
    assert len(own) == 1


def test_what_runs_in_a_container_takes_its_parameters_before_a_module_can_stand_in_their_place(exported):
    tree = ast.parse(text_of(replace(exported, parameters=TRICKY), "kubeflow"))

    component = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "ropewalk_step")
    taken = component.body[1]
    assert ast.unparse(taken) == "given = {" + ", ".join(f"'{name}': {name}" for name in TRICKY) + "}"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("secret", ["of: kubernetes", 'x"""\nimport os', "Ropewalk", "-x"])
def test_a_secret_that_kubernetes_could_not_have_is_refused(project, target, secret):
    with pytest.raises(RopewalkError) as refused:
        ordered(project, target, image="example/letters:1", secret=secret)

    assert refused.value.code == "export-secret"
    assert not (project.site.root / "exports").exists()
