import pytest

from leadsman.corpus import Extent
from leadsman.corpus.dedup.source_loss import check_sources
from leadsman.errors import InputError


def check(offered, lost, **options):
    return check_sources(offered, lost, **{"warn": 0.5, "stop": None, "location": "raw"} | options)


def test_a_large_source_is_named_and_small_ones_are_counted():
    offered = {f"page{i}": Extent(2, 100) for i in range(1000)}
    offered |= {"wiki": Extent(5000, 10_000), "news": Extent(5000, 10_000)}
    lost = {f"page{i}": Extent(1, 60) for i in range(30)}
    lost |= {f"page{i}": Extent(2, 100) for i in range(30, 37)}
    lost |= {"wiki": Extent(100, 5100), "news": Extent(4000, 5000)}
    wiki, small = check(offered, lost)
    assert wiki.startswith("source 'wiki' loses 51% of its text; look into rejects/")
    assert small.startswith("37 of 1002 sources lose more than 50% of their text")
    assert small.endswith("7 of them become empty")


def test_of_many_large_sources_the_worst_are_named():
    offered = {f"source{i:02}": Extent(100, 1000) for i in range(25)}
    warnings = check(offered, {name: Extent(90, 600 + i) for i, name in enumerate(offered)})
    assert len(warnings) == 11
    assert "source24" in warnings[0]
    assert warnings[-1].startswith("15 more sources lose more than 50%")


@pytest.mark.parametrize(
    ("lost", "stop", "stops"),
    [
        (Extent(3, 10), 1.0, True),
        (Extent(2, 9), 1.0, False),
        (Extent(2, 9), 0.9, True),
        (Extent(2, 9), None, False),
        (Extent(0, 0), 0.0, False),
    ],
)
def test_it_stops_only_if_asked(lost, stop, stops):
    if stops:
        with pytest.raises(InputError, match=r"source 'a' .* stops the job"):
            check({"a": Extent(3, 10)}, {"a": lost}, stop=stop)
    else:
        check({"a": Extent(3, 10)}, {"a": lost}, stop=stop)


def test_documents_without_text_can_be_a_source():
    assert check({"a": Extent(200, 0)}, {"a": Extent(0, 0)}) == []
    (warning,) = check({"a": Extent(200, 0)}, {"a": Extent(200, 0)}, warn=1.0)
    assert "becomes empty" in warning
