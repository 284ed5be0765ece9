from __future__ import annotations

from leadsman.train.defaults import ladder_shapes, shape_of_params, shape_of_width


def test_shapes_grow_and_are_found_again_by_size():
    shapes = ladder_shapes(2048, 256)
    sizes = [shape.non_embedding_params for shape in shapes]
    assert sizes == sorted(sizes)
    assert 50_000 <= sizes[0] < sizes[-1] <= 800_000
    for width in (48, 96, 128, 192, 512):
        shape = shape_of_width(width, vocab_size=2048, seq_len=256)
        found = shape_of_params(shape.non_embedding_params, vocab_size=2048, seq_len=256)
        assert found == shape
    for params in (3e4, 2e6, 1e8):
        found = shape_of_params(params, vocab_size=2048, seq_len=256)
        assert 0.6 < found.non_embedding_params / params < 1.6
