from __future__ import annotations

import json
import math

import pytest

from leadsman.errors import InputError
from leadsman.runs import Ledger
from leadsman.train.hf.trainer import import_trainer_state, ledger_callback

HISTORY = [
    {"step": 10, "loss": 5.0, "learning_rate": 1e-3, "epoch": 0.1},
    {"step": 10, "eval_loss": 4.9, "eval_runtime": 1.0},
    {"step": 20, "loss": 4.0, "learning_rate": 5e-4},
    {"step": 20, "eval_loss": 3.9, "eval_code_loss": 3.5},
    {"step": 20, "train_runtime": 12.5, "train_loss": 4.5},
]


def test_a_trainer_state_becomes_a_run(tmp_path):
    file = tmp_path / "my-run" / "checkpoint-20" / "trainer_state.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"log_history": HISTORY}))
    ledger = Ledger(str(tmp_path / "ledger"))
    import_trainer_state(file, ledger, tokens_per_step=512, settings={"params": 1e6})
    run = ledger.get("my-run")
    assert run.losses == {"eval": 3.9, "code": 3.5}
    assert run.settings == {"params": 1e6, "steps": 20, "tokens": 20 * 512}
    assert run.seconds == 12.5
    curve = ledger.curve("my-run")
    assert curve.rows() == [(10, 5120, 5.0, 1e-3), (20, 10_240, 4.0, 5e-4)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: not JSON"),
        ("[]", "log_history is missing"),
        ("{}", "log_history is missing"),
        (json.dumps({"log_history": [{"step": 1}]}), "holds no loss"),
    ],
)
def test_what_is_no_trainer_state_is_named(tmp_path, text, message):
    file = tmp_path / "trainer_state.json"
    with pytest.raises(InputError, match="no such file"):
        import_trainer_state(file, Ledger(str(tmp_path)))
    file.write_text(text)
    with pytest.raises(InputError, match=f"trainer_state.json.*{message}"):
        import_trainer_state(file, Ledger(str(tmp_path)))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_real_trainer_writes_the_run_its_state_file_gives(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        vocab_size=50,
        max_position_embeddings=8,
    )
    model = transformers.LlamaForCausalLM(config)
    rows = [{"input_ids": [n % 50] * 8, "labels": [n % 50] * 8} for n in range(16)]
    ledger = Ledger(str(tmp_path / "ledger"))
    arguments = transformers.TrainingArguments(
        str(tmp_path / "out"),
        max_steps=4,
        per_device_train_batch_size=4,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=2,
        save_steps=4,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    transformers.Trainer(
        model,
        arguments,
        train_dataset=rows,
        eval_dataset=rows,
        callbacks=[ledger_callback(ledger, "live", tokens_per_step=32)],
    ).train()
    (state,) = (tmp_path / "out").glob("*/trainer_state.json")
    import_trainer_state(state, ledger, run_id="read", tokens_per_step=32)
    live, read = ledger.get("live"), ledger.get("read")
    assert live.losses == read.losses
    assert 0 < live.losses["eval"] < 2 * math.log(50)
    assert ledger.curve("live").equals(ledger.curve("read"))
    embeddings = 2 * 50 * 16
    assert live.settings["params"] == sum(p.numel() for p in model.parameters()) - embeddings
