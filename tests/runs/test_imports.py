from __future__ import annotations

import json
import math

import pytest

from leadsman.errors import InputError
from leadsman.runs import Ledger
from leadsman.runs.imports import import_lm_eval, import_table, import_wandb

LM_EVAL = {
    "results": {
        "arc_easy": {
            "alias": "arc_easy",
            "acc,none": 0.31,
            "acc_stderr,none": 0.01,
            "acc_norm,none": 0.33,
            "acc_norm_stderr,none": 0.012,
        },
        "gsm8k": {
            "exact_match,strict-match": 0.02,
            "exact_match_stderr,strict-match": "N/A",
            "exact_match,flexible-extract": 0.03,
        },
    },
    "model_name": "org/tiny",
}


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(str(tmp_path / "ledger"))


def test_a_table_is_one_run_a_row(ledger, tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text(
        "id,params,tokens,mixture,loss.val,bpb.val,score.arc\n"
        "small,1e8,2e9,web,3.4,,0.31\nlarge,4e8,8e9,web,3.0,1.01,0.4\n"
    )
    assert [run.id for run in import_table(file, ledger)] == ["small", "large"]
    small = ledger.get("small")
    assert small.losses == {"val": 3.4}
    assert small.bpb == {}
    assert small.scores == {"arc": 0.31}
    assert small.settings == {"params": 1e8, "tokens": 2e9}
    frame = ledger.frame().sort("params")
    assert frame["loss.val"].to_list() == [3.4, 3.0]
    again = tmp_path / "plain.jsonl"
    again.write_text('{"params": 5, "loss": 2.5}\n{"params": 6, "loss": 2.4}\n')
    assert [run.id for run in import_table(again, ledger)] == ["plain-0", "plain-1"]
    assert ledger.get("plain-1").losses == {"eval": 2.4}


def test_a_wandb_history_is_a_curve_and_its_last_losses(ledger, tmp_path):
    file = tmp_path / "history.csv"
    file.write_text(
        "_step,train/loss,train/learning_rate,eval/loss,eval/c4_loss,_runtime\n"
        "20,5.0,0.001,,,8\n10,6.0,0.0005,,,4\n30,,,4.4,4.6,9\n40,4.0,0.001,,,12\n50,,,3.9,4.1,15\n"
    )
    run = import_wandb(file, ledger, run_id="mine", tokens_per_step=1000)
    assert run.losses == {"eval": 3.9, "c4": 4.1}
    assert run.settings == {"steps": 50.0, "tokens": 40_000.0}
    curve = ledger.curve("mine")
    assert curve["step"].to_list() == [10, 20, 40]
    assert curve["tokens"].to_list() == [10_000, 20_000, 40_000]
    assert curve["loss"].to_list() == [6.0, 5.0, 4.0]
    assert import_wandb(file, ledger).settings == {"steps": 50.0}


def test_lm_eval_scores_keep_task_metric_and_filter(ledger, tmp_path):
    file = tmp_path / "results_2026.json"
    file.write_text(json.dumps(LM_EVAL))
    run = import_lm_eval(file, ledger)
    assert run.id == "org__tiny"
    assert ledger.get("org__tiny").scores == {
        "arc_easy.acc": 0.31,
        "arc_easy.acc_norm": 0.33,
        "gsm8k.exact_match.strict-match": 0.02,
        "gsm8k.exact_match.flexible-extract": 0.03,
    }
    assert run.settings == {"stderr.arc_easy.acc": 0.01, "stderr.arc_easy.acc_norm": 0.012}
    assert math.isnan(run.seconds)


@pytest.mark.parametrize(
    ("name", "content", "reader", "message"),
    [
        ("none.csv", None, import_table, r"none\.csv: there is no such file"),
        ("a.xlsx", "", import_table, "tables are read from .csv"),
        ("a.csv", "id,params\nx,1\n", import_table, "no column is a result"),
        ("a.csv", "id,loss\nx,1\nx,2\n", import_table, "two rows are called 'x'"),
        ("a.jsonl", "{", import_table, "not a table"),
        ("a.csv", "loss\n1\n", import_wandb, "no column with the step"),
        ("a.csv", "_step,speed\n1,2\n", import_wandb, "no column with a loss"),
        ("a.json", "{", import_lm_eval, r"a\.json, line 1: not JSON"),
        ("a.json", "[]", import_lm_eval, "not results of lm-eval"),
        ("a.json", '{"results": {"t": {"alias": "t"}}}', import_lm_eval, "no task has a score"),
    ],
)
def test_what_cannot_be_is_named(ledger, tmp_path, name, content, reader, message):
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=message):
        reader(file, ledger)
    assert ledger.ids() == []


def test_the_command(tmp_path):
    from typer.testing import CliRunner

    from leadsman.cli.main import app

    file = tmp_path / "r.json"
    file.write_text(json.dumps(LM_EVAL))
    place = str(tmp_path / "new")
    command = ["runs", "import", str(file), "--ledger", place, "--from"]
    result = CliRunner().invoke(app, [*command, "lm-eval", "--id", "tiny"])
    assert result.exit_code == 0, result.output
    assert "1 runs in" in result.output
    assert Ledger(place).ids() == ["tiny"]
    assert CliRunner().invoke(app, [*command, "mlflow"]).exit_code != 0


def test_values_that_a_ledger_does_not_take_over_are_told(tmp_path):
    from typer.testing import CliRunner

    from leadsman.cli.main import app

    file, place = tmp_path / "runs.csv", str(tmp_path / "new")
    command = ["runs", "import", str(file), "--ledger", place, "--from", "table"]
    file.write_text("id,params,loss\nsmall,1e6,4.0\nlarge,1e7,3.5\n")
    for _ in range(2):
        assert "Warning" not in CliRunner().invoke(app, command).output
    file.write_text("id,params,loss\nsmall,1e6,4.0\nlarge,1e7,3.4\n")
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0
    assert "1 of them were there with other values and stay as they were: large" in told.output
    assert Ledger(place).get("large").losses == {"eval": 3.5}
