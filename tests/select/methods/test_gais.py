import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import approx_fprime

from leadsman.corpus import write_corpus
from leadsman.errors import InputError, MethodError
from leadsman.select.methods.gais import GAIS, stratified
from leadsman.select.methods.graph_attention import Weights, forward, loss
from leadsman.testing.selectors import SEA, WINE


def graph(seed, n=9, inputs=5):
    generator = np.random.default_rng(seed)
    edges = generator.random((n, n)) < 0.4
    np.fill_diagonal(edges, True)
    labels = np.arange(n) % 3 == 0
    return generator.normal(size=(n, inputs)), edges, labels


def by_loops(weights, nodes, edges):
    """The paper's equations, one node and one neighbour at a time."""
    heads = len(weights.left)
    attention = np.zeros((heads, len(nodes), len(nodes)))
    chances = []
    for i in range(len(nodes)):
        hidden = []
        for h in range(heads):
            z = [weights.w[:, h].T @ x for x in nodes]
            neighbours = [j for j in range(len(nodes)) if edges[i, j]]
            raw = [weights.left[h] @ z[i] + weights.right[h] @ z[j] for j in neighbours]
            powers = [np.exp(max(e, 0.2 * e)) for e in raw]
            for j, power in zip(neighbours, powers):
                attention[h, i, j] = power / sum(powers)
            mixed = sum(attention[h, i, j] * z[j] for j in neighbours)
            hidden += [x if x > 0 else np.exp(x) - 1 for x in mixed]
        chances.append(1 / (1 + np.exp(-(np.dot(weights.out, hidden) + weights.bias[0]))))
    return attention, np.array(chances)


def test_the_network_is_the_papers_equations():
    nodes, edges, _ = graph(0)
    weights = Weights.drawn(5, 3, 4, seed=1)
    done = forward(weights, nodes, edges)
    attention, chances = by_loops(weights, nodes, edges)
    np.testing.assert_allclose(done.attention, attention, atol=1e-12)
    np.testing.assert_allclose(done.probabilities, chances, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_finite_differences(seed):
    nodes, edges, labels = graph(seed)
    weights = Weights.drawn(5, 2, 3, seed=seed)
    _, gradient, _ = loss(weights, nodes, edges, labels)
    for array, slope in zip(weights.arrays(), gradient, strict=True):

        def value(flat, array=array):
            kept = array.copy()
            array[...] = flat.reshape(array.shape)
            found = loss(weights, nodes, edges, labels)[0]
            array[...] = kept
            return found

        # Central error of forward differences with steps of 1e-7.
        expected = approx_fprime(array.ravel().copy(), value, 1e-7)
        np.testing.assert_allclose(slope.ravel(), expected, atol=2e-6)


def test_both_classes_weigh_half():
    nodes, edges, _ = graph(2)
    weights = Weights.drawn(5, 2, 3, seed=0)
    weights.out[:] = 0
    for positives in (1, 4, 8):
        weights.bias[:] = 2.0
        found = loss(weights, nodes, edges, np.arange(9) < positives)[0]
        assert found == pytest.approx(0.5 * np.log1p(np.exp(-2)) + 0.5 * np.log1p(np.exp(2)))


def test_batches_hold_every_node_once_in_the_shares_of_the_classes():
    labels = np.arange(1000) < 130
    parts = stratified(labels, 100, seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(1000))
    assert {int(labels[part].sum()) for part in parts} == {13}
    assert len(stratified(np.arange(50) < 2, 5, seed=0)) == 2


def words(pool, count, seed):
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(pool.split(), 30)) for _ in range(count)]


def corpora(tmp_path):
    raw = words(SEA, 40, 0) + words(WINE, 40, 1)
    return (
        write_corpus(tmp_path / "raw", [{"text": text} for text in raw]),
        write_corpus(tmp_path / "target", [{"text": text} for text in words(SEA, 30, 2)]),
    )


def test_a_scored_document_is_one_more_node_of_each_graph(tmp_path):
    """Against the whole network run again on the graph with the document in it."""
    raw, target = corpora(tmp_path)
    selector = GAIS(batch=40, dimensions=6, epochs=5).fit(raw, target)
    assert len(selector._graphs) == 3
    batch = pa.RecordBatch.from_pydict({"text": pa.array(words(SEA + " " + WINE, 8, 3))})
    found = selector.score(batch)
    for vector, score in zip(selector.embedding_.embed(batch), found):
        expected = []
        for nodes, least in selector._graphs:
            old = (nodes.astype(float) @ nodes.T.astype(float)) >= least
            np.fill_diagonal(old, True)
            near = nodes.astype(float) @ vector.astype(float) >= least
            edges = np.block([[old, near[:, None]], [near[None], np.ones((1, 1), bool)]])
            attention, chances = by_loops(
                selector.weights_, np.vstack([nodes, vector]).astype(float), edges
            )
            received = attention[:, :-1, -1].mean(axis=0).sum()
            expected.append(received * chances[-1])
        assert score == pytest.approx(np.mean(expected), rel=1e-3)


def test_training_lowers_the_loss_and_tells_the_classes_apart(tmp_path):
    raw, target = corpora(tmp_path)
    selector = GAIS().fit(raw, target)
    # The raw documents are half like the target: at best P = 2/3 for those, 0 for the others.
    best = 0.5 * np.log(3 / 2) + 0.25 * np.log(3)
    assert selector.losses_[0] > selector.losses_[-1]
    assert selector.losses_[-1] == pytest.approx(best, abs=0.1)


def test_settings_that_cannot_be(tmp_path):
    for options in ({"edge_share": 0.0}, {"batch": 3}, {"epochs": 0}, {"rate": 0.0}):
        with pytest.raises(MethodError, match=f"gais: {next(iter(options))}"):
            GAIS(**options)
    raw, _ = corpora(tmp_path)
    empty = write_corpus(tmp_path / "empty", [{"text": " "}])
    with pytest.raises(InputError, match="no words"):
        GAIS().fit(raw, empty)
