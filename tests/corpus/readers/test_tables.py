import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leadsman.corpus import Rejects, read_source
from leadsman.errors import InputError


def read(path, **options):
    return [row for batch in read_source(path, **options) for row in batch.to_pylist()]


def save_to_disk(place, texts, parts=2):
    """The layout of ``datasets.Dataset.save_to_disk`` (5.2): Arrow streams and ``state.json``."""
    place.mkdir(parents=True)
    names = [f"data-{part:05d}-of-{parts:05d}.arrow" for part in range(parts)]
    for part, name in enumerate(names):
        rows = [{"text": text, "n": 1} for text in texts[part::parts]]
        table = pa.Table.from_pylist(rows)
        with pa.ipc.new_stream(place / name, table.schema) as writer:
            writer.write_table(table, max_chunksize=1000)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "0"}
    (place / "state.json").write_text(json.dumps(state))
    (place / "dataset_info.json").write_text("{}")


def test_a_saved_dataset_is_read_without_its_cache(tmp_path):
    texts = [f"text {i}" for i in range(5001)]
    save_to_disk(tmp_path / "d", texts)
    leftover = pa.Table.from_pylist([{"text": "left over by map()"}])
    with pa.ipc.new_stream(tmp_path / "d/cache-0123.arrow", leftover.schema) as writer:
        writer.write_table(leftover)
    rows = read(tmp_path / "d", metadata=["n"])
    assert [row["text"] for row in rows] == texts[0::2] + texts[1::2]
    assert rows[0] == {
        "id": "data-00000-of-00002.arrow:1", "text": "text 0", "source": "d", "n": "1"
    }  # fmt: skip


def test_the_splits_of_a_saved_dataset_dict_are_told_apart(tmp_path):
    save_to_disk(tmp_path / "d/train", ["a", "b"], parts=1)
    save_to_disk(tmp_path / "d/test", ["c"], parts=1)
    (tmp_path / "d/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert [(row["id"], row["text"]) for row in read(tmp_path / "d")] == [
        ("test/data-00000-of-00001.arrow:1", "c"),
        ("train/data-00000-of-00001.arrow:1", "a"),
        ("train/data-00000-of-00001.arrow:2", "b"),
    ]


def test_a_directory_of_the_hub_is_its_data_files(tmp_path):
    (tmp_path / "d/data").mkdir(parents=True)
    for part in range(2):
        name = f"train-{part:05d}-of-00002.parquet"
        pq.write_table(pa.table({"text": [f"{part}a", f"{part}b"]}), tmp_path / "d/data" / name)
    (tmp_path / "d/README.md").write_text("---\ndataset_info: {}\n---\n# A card")
    (tmp_path / "d/.gitattributes").write_text("*.parquet filter=lfs")
    rejects = Rejects()
    assert [row["text"] for row in read(tmp_path / "d", rejects=rejects)] == [
        "0a", "0b", "1a", "1b"
    ]  # fmt: skip
    assert dict(rejects.skipped) == {"file of another kind": 2}


def test_arrow_files_with_a_footer_are_read_too(tmp_path):
    table = pa.table({"text": ["a", None, "c"]})
    with pa.ipc.new_file(tmp_path / "in.arrow", table.schema) as writer:
        writer.write_table(table)
    rejects = Rejects()
    rows = read(tmp_path / "in.arrow", rejects=rejects, max_reject_rate=0.5)
    assert [row["text"] for row in rows] == ["a", "c"]
    assert str(rejects.first).endswith("in.arrow, line 2: no 'text'")


def test_a_cut_arrow_file_gives_what_was_before_the_damage(tmp_path):
    save_to_disk(tmp_path / "d", [f"text {i}" for i in range(5000)], parts=1)
    path = tmp_path / "d/data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    rejects = Rejects()
    rows = read(tmp_path / "d", rejects=rejects)
    assert [row["text"] for row in rows] == [f"text {i}" for i in range(len(rows))]
    assert len(rows) >= 2000
    assert f"damaged after row {len(rows)}" in rejects.first.reason


def test_a_bad_state_is_named(tmp_path):
    save_to_disk(tmp_path / "d", ["a"], parts=1)
    (tmp_path / "d/state.json").write_text("{}")
    with pytest.raises(InputError, match=r"state\.json: is not the state of a saved dataset"):
        read(tmp_path / "d")
