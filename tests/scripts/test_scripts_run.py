"""Any script runs as it is, and the run says what it did and how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk.errors import RopewalkError
from ropewalk.leases import process_start
from ropewalk.runs import run as runs
from ropewalk.scripts.program import program_of
from ropewalk.source.snapshot import read_manifest

SECRET = "hunter2-and-more"


def test_a_run_holds_code_command_words_files_and_output(shop):
    shop.write("data/in.csv", "a,b\n1,2\n")
    shop.write(
        "train.py",
        """
        import argparse, os, sys
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        parser.add_argument("--epochs", type=int, default=3)
        args = parser.parse_args()
        print("rows", open("data/in.csv").read().count("\\n"))
        print("a warning", file=sys.stderr)
        with open("out.part", "w") as file:
            file.write("made")
        os.replace("out.part", "out.txt")
        """,
    )

    done = shop.run("train.py", "--lr", "0.5")

    assert (done.status, done.run.state, done.run.kind, done.run.name) == (0, "finished", "script", "train-1")
    assert done.run.arguments() == {"command": ["train.py", "--lr", "0.5"]}
    assert shop.facts(done, "param") == {"lr": "0.5", "epochs": "3"}
    files = shop.files(done)
    assert files["ropewalk/stdout.txt"] == b"rows 2\n"
    assert files["ropewalk/stderr.txt"] == b"a warning\n"
    assert files["out.txt"] == b"made"
    assert [file.path for file in done.seen.read] == ["data/in.csv"]
    assert [file.path for file in done.seen.written] == ["out.txt"]
    assert "C code" in shop.record(done)["not_seen"]
    kept = [path for path, _, _ in read_manifest(shop.house.site.blobs, done.run.code)]
    assert kept == ["data/in.csv", "train.py"]


def test_a_script_is_not_told_that_it_is_watched_and_keeps_its_own_sitecustomize(shop, monkeypatch):
    shop.write("site/sitecustomize.py", "import builtins; builtins.theirs = 'still here'\n")
    shop.write("look.py", "import sys; print(theirs, [p for p in sys.path if 'witness' in p], sys.argv)\n")
    monkeypatch.setenv("PYTHONPATH", str(shop.root / "site"))

    done = shop.run("look.py", "x")

    assert shop.files(done)["ropewalk/stdout.txt"] == b"still here [] ['look.py', 'x']\n"


@pytest.mark.parametrize(
    ("code", "status", "state", "why"),
    [
        ("raise ValueError('no such column')", 1, "failed", "ValueError: no such column"),
        ("import sys; sys.exit(3)", 3, "failed", "it ended with status 3"),
        ("import sys; sys.exit('gave up')", 1, "failed", "it ended with status 1"),
        ("import sys; sys.exit(0)", 0, "finished", ""),
        ("import os; open('seen.txt', 'w').close(); os._exit(4)", 4, "failed", "it ended with status 4"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            137,
            "failed",
            "it was killed by SIGKILL (out of memory?)",
        ),
    ],
    ids=["raises", "exit-3", "exit-text", "exit-0", "_exit", "killed"],
)
def test_the_scripts_end_is_the_runs_end(shop, code, status, state, why):
    shop.write("end.py", code)

    done = shop.run("end.py")

    assert (done.status, done.run.state, done.run.error) == (status, state, why)
    if "_exit(4)" in code:
        assert [file.path for file in done.seen.written] == ["seen.txt"]
    if state == "failed" and "raise" in code:
        assert b"Traceback" in shop.files(done)["ropewalk/stderr.txt"]


@pytest.mark.parametrize("how", ["spawn", "fork"])
def test_files_of_the_scripts_own_processes_and_threads_are_seen(shop, how):
    for name in ("one.txt", "two.txt", "three.txt"):
        shop.write(name, name)
    shop.write(
        "many.py",
        f"""
        import multiprocessing, threading
        def read(name):
            return len(open(name).read())
        if __name__ == "__main__":
            thread = threading.Thread(target=read, args=("three.txt",))
            thread.start()
            thread.join()
            with multiprocessing.get_context("{how}").Pool(2) as pool:
                print(sum(pool.map(read, ["one.txt", "two.txt"])))
                pool.close()
                pool.join()
        """,
    )

    done = shop.run("many.py")

    assert shop.files(done)["ropewalk/stdout.txt"] == b"14\n"
    # The gate counts lines in the script's processes too, and its counter reads settings and keeps a file of its own.
    read = [file.path for file in done.seen.read if file.path.endswith(".txt")]
    assert sorted(read) == ["one.txt", "three.txt", "two.txt"]


def test_a_module_and_a_program_run_like_a_script(shop):
    shop.write("pkg/__init__.py", "")
    shop.write("pkg/__main__.py", "import sys; print('module', sys.argv[1:])\n")
    shop.write("go.sh", f"#!/bin/sh\necho shell $1\n{sys.executable} -c \"open('by-shell.txt', 'w').close()\"\n").chmod(
        0o755
    )

    module = shop.run(sys.executable, "-m", "pkg", "--fast", "--depth", "-1")
    program = shop.run("./go.sh", "now")

    assert module.run.name == "pkg-1"
    assert shop.files(module)["ropewalk/stdout.txt"] == b"module ['--fast', '--depth', '-1']\n"
    assert shop.facts(module, "param") == {"fast": "True", "depth": "-1"}
    assert shop.files(program)["ropewalk/stdout.txt"] == b"shell now\n"
    assert [file.path for file in program.seen.written] == ["by-shell.txt"]


def test_secrets_of_arguments_and_environment_are_nowhere(shop, monkeypatch):
    monkeypatch.setenv("SERVICE_API_KEY", SECRET)
    shop.write(
        "leaky.py",
        """
        import argparse, os
        parser = argparse.ArgumentParser()
        parser.add_argument("--password")
        parser.add_argument("--db-token", default="default-" + os.environ["SERVICE_API_KEY"][::-1])
        args = parser.parse_args()
        print(args.password, args.db_token, os.environ["SERVICE_API_KEY"])
        raise SystemExit(f"cannot log in with {args.password}")
        """,
    )

    done = shop.run("leaky.py", "--password", "correct-horse-battery")

    assert shop.facts(done, "param") == {"password": "***", "db_token": "***"}
    assert shop.files(done)["ropewalk/stdout.txt"] == b"*** *** ***\n"
    for path in shop.house.site.hidden.rglob("*"):
        held = path.read_bytes() if path.is_file() else b""
        for secret in (SECRET, SECRET[::-1], "correct-horse-battery"):
            assert secret.encode() not in held, path


def test_long_output_is_kept_at_its_ends(shop):
    shop.write("chatty.py", "print('first')\nfor _ in range(70_000): print('x' * 99)\nprint('last')\n")

    said = shop.files(shop.run("chatty.py"))["ropewalk/stdout.txt"].decode()

    assert said.startswith("first\n")
    assert said.endswith("last\n")
    assert "bytes are not kept" in said
    assert len(said) < 2_500_000


@pytest.mark.parametrize(
    ("words", "code"),
    [(["nothing.py"], "script-not-found"), (["no-such-program"], "script-not-found"),
     (["python", "nothing.py"], "script-not-found"), (["book.ipynb"], "script-not-runnable"),
     (["python", "book.ipynb"], "script-not-runnable"), (["python", "folder"], "script-not-runnable")],
)  # fmt: skip
def test_what_cannot_be_run_is_said_and_leaves_nothing(tmp_path, monkeypatch, words, code):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()

    with pytest.raises(RopewalkError) as caught:
        program_of(words)

    assert caught.value.code == code
    assert caught.value.fix.startswith(("ropewalk run", "ls ", "install it"))


WAITING = "import sys, time\nprint('ready', flush=True)\nsys.stdin.read()\n"


def started(root, *words, **more):
    command = [sys.executable, "-m", "ropewalk", *words]
    return subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )


def test_ctrl_c_reaches_the_script_and_the_run_says_cancelled(shop):
    shop.write("wait.py", WAITING)

    with started(shop.root, "run", "wait.py") as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()  # `communicate` would end its input first, and the script with it

    with shop.house.site.db.read() as rows:
        run = runs.find(rows, "wait-1")
    assert (process.returncode, run.state) == (130, "cancelled")
    assert "KeyboardInterrupt" in said
    assert "error[script-failed]: The script was cancelled" in said
    assert "ropewalk/cli" not in said


def test_a_run_whose_recorder_was_killed_is_interrupted_and_its_script_ends(shop):
    shop.write("wait.py", "import os\nprint(os.getpid(), flush=True)\n" + WAITING)

    with started(shop.root, "run", "wait.py") as process:
        script = int(process.stdout.readline())
        assert process.stdout.readline() == "ready\n"
        held = os.pidfd_open(script)
        process.kill()
        process.wait()
        # The kernel ends the script; its end is waited for, not slept for.
        import select

        assert select.select([held], [], [], 60)[0]
        os.close(held)

    found = shop.house.site.db.write(lambda tx: runs.interrupt_dead(tx, shop.house.site))
    assert [run.state for run in found] == ["interrupted"]
    assert process_start(script) is None
    shop.write("next.py", "pass\n")
    shop.run("next.py")
    assert list((shop.house.site.hidden / "scripts").iterdir()) == []


def test_from_another_folder_with_input_the_records_lie_beside_the_script(tmp_path):
    (tmp_path / "proj").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "proj" / "ask.py").write_text("print('hello', input('name? '), __file__)\nimport sys; sys.exit(5)\n")

    with started(tmp_path / "elsewhere", "--json", "run", "../proj/ask.py", "--json") as process:
        answer, said = process.communicate("ann\n")

    assert process.returncode == 5
    assert '"ok": false' in answer
    assert '"code": "script-failed"' in answer
    assert "name? hello ann" in said
    assert (tmp_path / "proj" / ".ropewalk").is_dir()
    assert not (tmp_path / "elsewhere" / ".ropewalk").exists()


def test_an_interpreter_without_ropewalk_is_watched_as_well(shop):
    python = Path(sys.base_prefix) / "bin" / "python3"
    shop.write("look.py", "import sys; open('out.txt', 'w').close(); print('ropewalk' in sys.modules)\n")

    done = shop.run(str(python), "look.py")

    assert (done.status, done.seen.troubles) == (0, ())
    assert shop.files(done)["ropewalk/stdout.txt"] == b"False\n"
    assert shop.files(done)["ropewalk/stderr.txt"] == b""
    assert [file.path for file in done.seen.written] == ["out.txt"]
