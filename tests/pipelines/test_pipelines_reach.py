"""How far a cache key reaches: libraries, methods of what is passed on, code that cannot be followed."""

from __future__ import annotations


def test_a_library_of_another_version_makes_its_steps_run_and_no_other(project, monkeypatch, tmp_path):
    libraries = tmp_path / "site-packages"
    for version in ("1.0", "2.0"):
        (tmp_path / version).mkdir()
    libraries.mkdir()
    (libraries / "thirdparty.py").write_text("def scale(value):\n    return value\n")
    info = libraries / "thirdparty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: thirdparty\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", str(libraries))
    project.write(
        "pipeline.py",
        """
        import thirdparty
        from ropewalk import pipeline, step

        @step
        def scaled():
            return thirdparty.scale(1)

        @step
        def plain():
            return 1

        @pipeline
        def train():
            return [scaled(), plain()]
        """,
    )
    project.run()
    info.rename(libraries / "thirdparty-2.0.dist-info")

    scaled, plain = project.plan().nodes

    assert (scaled.verdict, scaled.why) == ("run", ("library thirdparty has changed: 1.0 -> 2.0",))
    assert plain.verdict == "hit"


def test_a_method_of_an_object_that_is_only_passed_through_is_noticed(project):
    project.write(
        "pipeline.py",
        """
        from ropewalk import pipeline, step

        class Model:
            def __init__(self, weight):
                self.weight = weight

            def predict(self, value):
                return value * self.weight

        @step
        def fit():
            return Model(3)

        @step
        def keep(model):
            return {"model": model}

        @step
        def use(kept):
            return kept["model"].predict(2)

        @pipeline
        def train():
            return use(keep(fit()))
        """,
    )
    first = project.run()
    project.edit("pipeline.py", "value * self.weight", "value + self.weight")

    second = project.run()

    assert (project.value(first, "use"), project.value(second, "use")) == (6, 5)


def test_code_that_cannot_be_followed_counts_as_the_whole_project(project):
    project.write("plugin.py", "def act():\n    return 1\n")
    project.write(
        "pipeline.py",
        """
        import importlib
        from ropewalk import pipeline, step

        @step
        def work():
            return importlib.import_module("plu" + "gin").act()

        @pipeline
        def train():
            return work()
        """,
    )
    project.run()
    project.edit("plugin.py", "return 1", "return 2")

    (node,) = project.plan().nodes

    assert node.verdict == "run"
    assert "the whole project has changed" in node.why


def test_an_uncached_step_runs_in_every_run(project):
    project.write(
        "pipeline.py",
        """
        from ropewalk import pipeline, step

        @step(cache=False)
        def ask():
            return 1

        @pipeline
        def train():
            return ask()
        """,
    )
    project.run()

    assert project.plan().nodes[0].why == ("it is declared with cache=False",)
    assert project.run().count("done") == 1
