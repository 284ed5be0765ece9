import hashlib
import os
import pickle
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from leadsman.corpus import deduplicate, write_corpus
from leadsman.engine import LocalEngine, RayEngine, ThreadEngine, open_engine
from leadsman.errors import EngineError, InputError, MissingExtraError

WORDS = [f"word{i}" for i in range(2000)]


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'leadsman\[ray\]'") as caught:
        open_engine("ray")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.extra) == (MissingExtraError, str(caught.value), "ray")


def test_an_engine_is_opened_by_name():
    assert isinstance(open_engine("local"), LocalEngine)
    assert isinstance(open_engine("local", threads=True), ThreadEngine)
    with pytest.raises(EngineError, match="no engine 'spark'; give local or ray"):
        open_engine("spark")


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of two CPUs; the driver is on the first."""
    ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    monkeypatch.setenv("RAY_health_check_period_ms", "500")
    monkeypatch.setenv("RAY_health_check_failure_threshold", "3")
    paths = os.pathsep.join([os.getcwd(), *filter(None, sys.path)])
    monkeypatch.setenv("PYTHONPATH", paths)
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    nodes.second = nodes.add_node(num_cpus=2)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def square(number):
    return number * number


def refuse(number):
    raise InputError(f"not {number}", line=number)


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def note(place):
    """Leave a file for this start, wait, and say where it ran."""
    import ray

    Path(f"{place}.{os.getpid()}").touch()
    time.sleep(0.5)
    return ray.get_runtime_context().get_node_id()


@pytest.mark.slow
def test_items_errors_and_deaths_are_those_of_any_engine(cluster):
    engine = RayEngine(retries=1)
    assert engine.workers == 4
    assert dict(engine.map(square, range(50))) == {n: n * n for n in range(50)}
    assert list(engine.map(square, [])) == []
    with pytest.raises(InputError, match=r"not [12]") as caught:
        list(engine.map(refuse, [1, 2]))
    assert caught.value.line in (1, 2)
    with pytest.raises(EngineError, match="died 2 times under the same item"):
        list(engine.map(die, [1]))


@pytest.mark.slow
def test_what_a_dead_node_was_doing_is_done_again_elsewhere(cluster, tmp_path):
    items = [str(tmp_path / f"{i}") for i in range(24)]
    results = []
    for count, (item, node) in enumerate(RayEngine().map(note, items)):
        results.append((item, node))
        if count == 5:
            cluster.remove_node(cluster.second, allow_graceful=False)
    assert sorted(item for item, _ in results) == sorted(items)
    assert len({node for _, node in results}) == 2
    starts = len(list(tmp_path.iterdir()))
    assert starts > len(items), "the node that died was doing nothing"


class Saboteur:
    """An engine that loses a worker, then a node, while others work."""

    def __init__(self, cluster):
        self.engine = RayEngine()
        self.workers = self.engine.workers
        self.cluster = cluster
        self.done = 0

    def map(self, function, items):
        for pair in self.engine.map(function, items):
            yield pair
            self.done += 1
            if self.done == 3:
                os.kill(next(iter(self.engine.map(process, [0])))[1], signal.SIGKILL)
            if self.done == 12:
                self.cluster.remove_node(self.cluster.second, allow_graceful=False)


def process(_):
    return os.getpid()


def tree(path):
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(Path(path).rglob("*"))
        if file.is_file() and file.name != "report.json"
    }


@pytest.fixture
def corpus(tmp_path):
    generator = random.Random(0)
    texts = [" ".join(generator.choices(WORDS, k=200)) for _ in range(600)]
    texts += [text.replace("word77", "edit") for text in texts[::3]]
    rows = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    return write_corpus(tmp_path / "raw", rows, shard_bytes=60_000)


@pytest.mark.slow
def test_a_cluster_gives_the_bytes_that_threads_give(cluster, corpus, tmp_path):
    assert len(corpus.shards) > 12
    options = {"shard_bytes": 90_000}
    local = deduplicate(corpus, tmp_path / "local", **options)
    there = deduplicate(corpus, tmp_path / "ray", engine=RayEngine(), **options)
    assert local.documents_removed == there.documents_removed > 100
    assert tree(tmp_path / "local") == tree(tmp_path / "ray")
    saboteur = Saboteur(cluster)
    deduplicate(corpus, tmp_path / "sabotage", engine=saboteur, **options)
    assert saboteur.done > 12
    assert tree(tmp_path / "local") == tree(tmp_path / "sabotage")
