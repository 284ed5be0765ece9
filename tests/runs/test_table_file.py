"""Tables of every dialect are read to the same numbers."""

import gzip
import json

import polars as pl
import pytest

from leadsman.errors import InputError
from leadsman.runs.table_file import read_table_file

FRAME = pl.DataFrame(
    {"params": [1e7, 3e7, 1e8], "loss": [3.25, 3.125, 2.5], "optimizer": ["adamw", "muon", "sgd"]}
)


def assert_same(path):
    read = read_table_file(path)
    assert read.columns == FRAME.columns
    assert read["params"].cast(pl.Float64).to_list() == FRAME["params"].to_list()
    assert read["loss"].to_list() == FRAME["loss"].to_list()
    assert read["optimizer"].to_list() == FRAME["optimizer"].to_list()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separator_and_encoding_are_recognised(tmp_path, separator, encoding):
    (tmp_path / "runs.csv").write_text(FRAME.write_csv(separator=separator), encoding=encoding)
    assert_same(tmp_path / "runs.csv")


def test_a_decimal_comma_is_read_between_semicolons(tmp_path):
    text = "params;loss;optimizer\n10000000;3,25;adamw\n30000000;3,125;muon\n1e8;2,5;sgd\n"
    (tmp_path / "runs.csv").write_text(text)
    assert_same(tmp_path / "runs.csv")


def test_a_comma_that_may_mean_thousands_is_left_alone(tmp_path):
    (tmp_path / "runs.csv").write_text("loss;n\n2,534;1\n2,412;2\n")
    assert read_table_file(tmp_path / "runs.csv")["loss"].to_list() == ["2,534", "2,412"]


def test_blanks_and_words_for_nothing_do_not_make_text_of_numbers(tmp_path):
    (tmp_path / "runs.csv").write_text("params , loss\n1e7 , 3.25\n 3e7, NA\n1e8,\n")
    read = read_table_file(tmp_path / "runs.csv")
    assert read.columns == ["params", "loss"]
    assert read["params"].to_list() == [1e7, 3e7, 1e8]
    assert read["loss"].to_list() == [3.25, None, None]


def test_a_word_stays_and_is_not_dropped(tmp_path):
    (tmp_path / "runs.csv").write_text("params,loss\n1e7,3.25\n3e7,diverged\n")
    assert read_table_file(tmp_path / "runs.csv")["loss"].to_list() == ["3.25", "diverged"]


def test_gzip_json_lines_and_parquet(tmp_path):
    (tmp_path / "runs.csv.gz").write_bytes(gzip.compress(FRAME.write_csv().encode()))
    FRAME.write_ndjson(tmp_path / "runs.jsonl")
    FRAME.write_parquet(tmp_path / "runs.parquet")
    for name in ("runs.csv.gz", "runs.jsonl", "runs.parquet"):
        assert_same(tmp_path / name)


def test_json_as_records_columns_and_as_pandas_writes_it(tmp_path):
    columns = FRAME.to_dict(as_series=False)
    by_row = {name: {str(k): v for k, v in enumerate(cells)} for name, cells in columns.items()}
    for k, value in enumerate((FRAME.to_dicts(), columns, by_row)):
        (tmp_path / f"{k}.json").write_text(json.dumps(value))
        assert_same(tmp_path / f"{k}.json")


def test_nested_cells_become_columns_with_dots(tmp_path):
    rows = [{"config": {"model": {"n": n}, "lr": 0.1}, "loss": 3.0} for n in (1, 2)]
    (tmp_path / "runs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "runs.json").write_text(json.dumps(rows))
    for name in ("runs.jsonl", "runs.json"):
        read = read_table_file(tmp_path / name)
        assert sorted(read.columns) == ["config.lr", "config.model.n", "loss"]
        assert read["config.model.n"].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", bytes(range(256)), "not a text"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "line 3 has 3 cells, the header 2"),
        ("a.xlsx", b"PK", "tables are read from .csv"),
        ("a.json", b"{", "not JSON"),
        ("a.json", b"[1, 2]", "no rows with named cells"),
        ("a.parquet", b"no", "not a table"),
    ],
)
def test_what_is_no_table_is_refused_with_its_name(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as refused:
        read_table_file(tmp_path / name)
    assert name in str(refused.value)
