"""The test command: steps after a failed one run too, and coverage fits a line."""

from capstone_utils.course.authoring import checks


def test_every_step_runs_and_one_that_failed_makes_the_command_fail(monkeypatch, tmp_path, capsys):
    ran = []

    def run(*module, **environment):
        name, output, *arguments = module
        ran.append(module)
        print("ran", name, *arguments, file=output)
        return name != "mypy"

    monkeypatch.setattr(checks, "_run", run)
    monkeypatch.setattr(checks, "SCRATCH", tmp_path / "test")
    assert checks.run_checks() == 1
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.partition("what was checked")[2].splitlines()[1:]] == [
        "ok",
        "FAILED",
        *["ok"] * 6,
    ]
    assert sum("--nbval-lax" in module for module in ran) == 4
    assert shown.index("ran capstone_utils run") > shown.index("--- tests"), (
        "the notebooks' words come after the tests'"
    )


def test_coverage_is_one_line_with_the_least_covered_modules():
    shares = {"a": 100.0, "b": 10.0, "c": 90.4, "d": 20.0, "e": 0.0, "f": 99.0, "g": 50.0}
    files = {f"capstone_utils/x/{name}.py": {"summary": {"percent_covered": share}} for name, share in shares.items()}
    line = checks.coverage_line({"files": files, "totals": {"percent_covered": 93.21}})
    assert line == (
        "coverage: 93.2 % of the package's lines; least: x/e.py 0 %, x/b.py 10 %, x/d.py 20 %, x/g.py 50 %, x/c.py 90 %"
    )


def test_the_tests_time_is_summed_by_folder():
    cases = [("tests.faults.test_a", 2.5), ("tests.faults.test_b", 3.0), ("tests.serving.service.state.test_c", 9.0)]
    report = "".join(f'<testcase classname="{name}" time="{seconds}" />' for name, seconds in cases)
    lines = checks.times_by_folder(f"<testsuites><testsuite>{report}</testsuite></testsuites>").splitlines()
    assert [line.split() for line in lines[1:]] == [["9", "s", "tests/serving/service"], ["6", "s", "tests/faults"]]
