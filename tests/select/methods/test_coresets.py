import itertools

import numpy as np
import pytest

from leadsman.corpus import write_corpus
from leadsman.errors import InputError, MethodError
from leadsman.select import Policy, select
from leadsman.select.methods.facility_location import FacilityLocation
from leadsman.select.methods.k_center import KCenter
from leadsman.select.methods.vote_k import VoteK


def vectors(count, seed, dimensions=5):
    rows = np.random.default_rng(seed).normal(size=(count, dimensions))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("seed", range(8))
def test_k_center_is_within_twice_the_best_radius(seed):
    rows = vectors(14, seed)
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    best = min(
        distances[:, list(centres)].min(axis=1).max()
        for centres in itertools.combinations(range(14), 4)
    )
    taken = KCenter().order(rows, 4, seed=0)
    assert len(set(taken.tolist())) == 4
    assert distances[:, taken].min(axis=1).max() <= 2 * best + 1e-5


@pytest.mark.parametrize("seed", range(8))
def test_facility_location_is_near_the_best_set_and_equals_plain_greedy(seed):
    rows = vectors(12, seed)
    similarity = np.maximum(rows @ rows.T, 0).astype(np.float64)

    def value(chosen):
        return similarity[:, list(chosen)].max(axis=1).sum()

    best = max(value(chosen) for chosen in itertools.combinations(range(12), 4))
    taken = FacilityLocation().order(rows, 4, seed=0).tolist()
    assert value(taken) >= (1 - 1 / np.e) * best
    plain = []
    for _ in range(4):
        others = [row for row in range(12) if row not in plain]
        plain.append(max(others, key=lambda row: value([*plain, row])))
    assert taken == plain


@pytest.mark.parametrize("seed", range(8))
def test_vote_k_takes_what_the_definition_says(seed):
    rows, k, rho = vectors(25, seed), 4, 10.0
    similarity = rows @ rows.T
    np.fill_diagonal(similarity, -np.inf)
    points_at = [set(np.argsort(-row, kind="stable")[:k].tolist()) for row in similarity]
    taken = []
    for _ in range(10):
        scores = {
            u: sum(
                rho ** -len(points_at[v] & set(taken))
                for v in range(25)
                if v not in taken and u in points_at[v]
            )
            for u in range(25)
            if u not in taken
        }
        taken.append(max(scores, key=lambda u: (round(scores[u], 9), -u)))
    assert VoteK(neighbours=k, rho=rho).order(rows, 10, seed=0).tolist() == taken


@pytest.fixture
def topics(tmp_path):
    """Five topics of 40, 20, 10, 5 and 1 documents; some copies; one without a word."""
    generator = np.random.default_rng(0)
    rows = []
    for topic, count in enumerate((40, 20, 10, 5, 1)):
        words = [f"topic{topic}word{i}" for i in range(40)]
        for i in range(count):
            text = " ".join(generator.choice(words, 30))
            rows.append({"id": f"{topic}-{i}", "text": text, "source": f"topic{topic}"})
    rows += [rows[0] | {"id": "copy"}, {"id": "empty", "text": " ", "source": "topic0"}]
    return write_corpus(tmp_path / "raw", rows, shard_bytes=4000)


# k-center covers whatever there is; facility location may split the largest topic sooner than
# stand for a single document.
@pytest.mark.parametrize(("cls", "covered"), [(KCenter, 5), (FacilityLocation, 4)])
def test_five_documents_cover_the_planted_topics(tmp_path, topics, cls, covered):
    policy = Policy(documents=5)
    report = select(topics, topics, tmp_path / "out", selector=cls(5), policy=policy)
    assert {f"topic{i}" for i in range(covered)} <= set(report.kept)


def test_the_policy_takes_the_greedy_order_then_what_is_unlike_it(tmp_path, topics):
    selector = KCenter(6).fit(topics, topics)
    scores = np.concatenate([selector.score(batch) for batch in topics.batches()])
    ids = topics.table(["id"])["id"].to_pylist()
    assert sorted(scores[scores >= 1].tolist()) in ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 6])
    assert scores[ids.index("empty")] == -np.inf
    assert scores[ids.index("copy")] == scores[ids.index("0-0")]
    rest = (scores < 1) & np.isfinite(scores)
    assert ((scores[rest] >= -1) & (scores[rest] <= 0)).all()
    kept = select(topics, topics, tmp_path / "out", selector=KCenter(6), policy=Policy(documents=4))
    assert set(kept.corpus.table(["id"])["id"].to_pylist()) <= {
        name for name, score in zip(ids, scores) if score >= 3
    }


def test_what_cannot_be_is_named(tmp_path):
    for cls in (KCenter, FacilityLocation, VoteK):
        for option in ("count", "max_documents", "dimensions"):
            with pytest.raises(MethodError, match=f"{cls.name}: {option} must"):
                cls(**{option: 0})
    with pytest.raises(MethodError, match="vote-k: rho"):
        VoteK(rho=1.0)
    with pytest.raises(MethodError, match="vote-k: neighbours"):
        VoteK(neighbours=0)
    blank = write_corpus(tmp_path / "blank", [{"text": " "}, {"text": ""}])
    with pytest.raises((InputError, MethodError), match="words"):
        KCenter().fit(blank, blank)
