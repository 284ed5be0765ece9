"""How the command line ends: in one sentence, with the exit code that says why."""

import sys

import pytest

from leadsman.cli import main, plan


def test_an_interrupt_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "run_project", interrupted)
    monkeypatch.setattr(sys, "argv", ["leadsman", "plan", "leadsman.yaml"])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 130
    assert "stopped; the same command continues" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["memory", "--params", "inf"], "'params': must be a number of parameters"),
        (["memory", "--params", "-5"], "'params': must be a number of parameters"),
        (["memory", "--width", "33"], "'width': must be even"),
        (["memory", "--params", "1e8", "--hardware", "H100"], "did you mean 'H100-SXM'"),
        (["serving", "--hardware", "L40S", "--params", "1e8", "--tokens", "-1"],
         "'tokens': should be greater than 0, not -1"),
        (["serving", "--hardware", "L40S", "--params", "1e8", "--tokens", "inf"],
         "'tokens': should be a finite number"),
        (["hardware", "--hardware-file", "nowhere.yaml"], "nowhere.yaml: there is no such file"),
    ],
)  # fmt: skip
def test_what_cost_cannot_count_ends_in_a_sentence(monkeypatch, capsys, arguments, said):
    monkeypatch.setattr(sys, "argv", ["leadsman", "cost", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.run()
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert said in told.err
    assert not told.out


class NoCredentialsError(Exception):
    """As a store's client raises it, which is no error of the operating system."""


NoCredentialsError.__module__ = "botocore.exceptions"


@pytest.mark.parametrize(
    "error",
    [PermissionError(13, "Permission denied", "/root/x"), NoCredentialsError("no credentials")],
)
def test_what_fails_outside_is_one_sentence(monkeypatch, capsys, error):
    def failing(*arguments, **options):
        raise error

    monkeypatch.setattr(main, "app", failing)
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"leadsman: {error} (--debug shows where)\n"
    monkeypatch.setenv("LEADSMAN_DEBUG", "1")
    with pytest.raises(type(error)):
        main.run()


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(main, "app", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main.run()
