import os
import signal
import subprocess
import sys
import time

import pytest

from leadsman.engine import LocalEngine
from leadsman.errors import EngineError, InputError

PARENT = """
import os, sys, time
from leadsman.engine import LocalEngine
from tests.engine.test_local import note_and_sleep

if __name__ == "__main__":
    list(LocalEngine(2).map(note_and_sleep, [sys.argv[1] + "/a", sys.argv[1] + "/b"]))
"""


def square(number):
    return number * number


def refuse(number):
    raise InputError(f"not {number}")


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def note_and_sleep(path):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(60)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_comes_back_with_its_result(workers):
    assert dict(LocalEngine(workers).map(square, range(7))) == {n: n * n for n in range(7)}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_user_keeps_its_kind(workers):
    with pytest.raises(InputError, match=r"not [12]"):
        list(LocalEngine(workers).map(refuse, [1, 2]))


def test_a_dead_worker_is_an_engine_error():
    with pytest.raises(EngineError, match="run the same command again"):
        list(LocalEngine(2).map(die, [1, 2]))


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, os.getcwd()])}
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment)
    notes = [tmp_path / "a", tmp_path / "b"]
    deadline = time.monotonic() + 60
    while not all(note.exists() and note.read_text() for note in notes):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    workers = [int(note.read_text()) for note in notes]
    parent.kill()
    parent.wait()
    while any(_alive(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not any(_alive(worker) for worker in workers)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
