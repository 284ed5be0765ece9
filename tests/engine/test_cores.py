import os

from leadsman.engine import LocalEngine, ThreadEngine, usable_cores


def test_a_process_that_may_use_one_core_gets_one_worker(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3})
    assert usable_cores() == LocalEngine().workers == ThreadEngine().workers == 1


def test_where_the_system_tells_no_affinity_all_cores_count(monkeypatch):
    # macOS and Windows have no sched_getaffinity.
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores() == LocalEngine().workers == 6
