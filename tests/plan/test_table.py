"""Plans from tables of runs, through the command line and with what users get wrong."""

import json

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from leadsman.cli.main import app
from leadsman.errors import BudgetError, DesignError, InputError
from leadsman.plan.decision.mixtures import MixtureBelief
from leadsman.plan.table import TableSpec, constraints_of, plan_table

SPEC = {
    "space": {"params": {"low": 1e7, "high": 1e10}, "tokens": {"low": 1e8, "high": 1e12}},
    "budget": {"flops": 1e20},
    "worlds": 500,
}


def spec(**changes):
    return TableSpec.model_validate(SPEC | changes)


@pytest.fixture(scope="module")
def runs():
    rng = np.random.default_rng(0)
    params, ratio = np.meshgrid(np.geomspace(1e6, 6e7, 6), [5.0, 20.0, 80.0, 320.0])
    frame = pl.DataFrame({"params": params.ravel(), "tokens": (params * ratio).ravel()})
    loss = 1.7 + 400 / frame["params"] ** 0.34 + 1200 / frame["tokens"] ** 0.33
    noise = np.exp(0.002 * rng.standard_normal(len(frame)))
    return frame.with_columns(loss=loss * pl.Series(noise), lr=pl.lit(3e-3))


def test_command_line_decides_and_ranks_next_runs(runs, tmp_path, monkeypatch):
    table, yaml, out = tmp_path / "runs.csv", tmp_path / "spec.yaml", tmp_path / "plan.json"
    runs.write_csv(table)
    yaml.write_text(json.dumps(SPEC))
    result = CliRunner().invoke(app, ["decide", str(table), str(yaml), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "bound by: budget" in result.output
    plan = json.loads(out.read_text())
    flops = 6 * plan["chosen"]["params"] * plan["chosen"]["tokens"]
    assert flops == pytest.approx(1e20, rel=1e-3)
    best = (0.34 * 400 / (0.33 * 1200)) ** (1 / 0.67) * (1e20 / 6) ** (0.33 / 0.67)
    assert np.log(plan["chosen"]["params"]) == pytest.approx(np.log(best), abs=0.6)
    assert [each["cost"] for each in plan["pareto"]] == sorted(
        each["cost"] for each in plan["pareto"]
    )
    costs = [each["cost"] for each in plan["next"]["runs"]]
    assert costs
    assert max(costs) < 1e20 / 4
    ranked = CliRunner().invoke(app, ["next", str(table), str(yaml), "--count", "2"])
    assert ranked.exit_code == 0
    assert len(ranked.output.splitlines()) == 3


@pytest.mark.parametrize(("ratio", "precision"), [(0.95, "float32"), (0.2, "bf16")])
def test_a_precision_pays_for_its_own_speed(runs, ratio, precision):
    """float32 is better by a hundredth by token, and its runs say how fast it is."""
    speed = 1e12 / runs["params"]
    both = [
        runs.with_columns(precision=pl.lit("bf16"), tokens_per_second=speed),
        runs.with_columns(
            loss=0.99 * runs["loss"], precision=pl.lit("float32"), tokens_per_second=ratio * speed
        ),
    ]
    space = SPEC["space"] | {"precision": {"choices": ["bf16", "float32"]}}
    hours = {"hours": 1e20 / 3.6e15, "flops_per_second": 1e12}
    found = plan_table(pl.concat(both), spec(space=space, budget=hours))
    point = found.decision.point
    assert point["precision"] == precision
    paid = 6 * point["params"] * point["tokens"] / (ratio if precision == "float32" else 1)
    assert paid == pytest.approx(1e20, rel=1e-3)
    assert f"float32 beside bf16: {ratio:.2g} times as fast, as measured." in found.notes
    free = plan_table(pl.concat(both), spec(space=space))
    assert free.decision.point["precision"] == "float32"
    assert not any("times as fast" in note for note in free.notes)


def test_a_setting_no_run_varies_is_held_and_said(runs):
    space = SPEC["space"] | {"lr": {"low": 1e-4, "high": 1e-1}}
    plan = plan_table(runs, spec(space=space))
    assert plan.decision.point["lr"] == 3e-3
    assert "No run varies lr; it is held at 0.003." in plan.notes


def test_far_beyond_the_runs_is_said_and_wider(runs):
    near = plan_table(runs, spec(budget={"flops": 1e18}, space=SPEC["space"] | {
        "params": {"low": 1e6, "high": 1e9}}))  # fmt: skip
    far = plan_table(runs, spec(budget={"flops": 1e22}))
    assert any("the compute of the largest run" in note for note in far.notes)
    spread = [np.log(each.decision.draws).std() for each in (near, far)]
    assert spread[1] > 1.5 * spread[0]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"budget": {"flops": 1e12}}, BudgetError, r"no choice meets budget: at most 1e\+12"),
        ({"budget": {"flops": 1e20, "max_params": 1e6}}, BudgetError, "no choice meets max_params"),
        (
            {"unique_tokens": 1e6, "max_epochs": 4},
            BudgetError,
            "no choice meets max_epochs: at most 4 epochs",
        ),
        (
            {"memory": {"limit_gb": 0.01}},
            BudgetError,
            r"no choice meets memory: at most 1e\+07 bytes",
        ),
        (
            {"space": SPEC["space"] | {"batch_tokens": {"low": 1, "high": 9}}},
            DesignError,
            "no run tells batch_tokens",
        ),
    ],
)
def test_plans_that_cannot_be(runs, changes, error, message):
    with pytest.raises(error, match=message):
        plan_table(runs, spec(**changes))


def test_runs_of_several_tokenizers_are_refused_in_nats_but_not_in_bits(runs):
    mixed = runs.with_columns(tokenizer=pl.Series(["gpt2", "llama"] * (len(runs) // 2)))
    with pytest.raises(InputError, match=r"several tokenizers .*gpt2, llama.*bits per byte"):
        plan_table(mixed, spec())
    plan_table(mixed.rename({"loss": "bpb.web"}), spec(y="bpb.web"))


def test_memory_limit_follows_the_estimate():
    limits = constraints_of(spec(memory={"limit_gb": 80, "zero_stage": 3, "devices": 8}))
    memory = next(each for each in limits if each.name == "memory")
    sizes = pl.DataFrame({"params": [1e8, 1e9, 1e10], "tokens": [1.0, 1.0, 1.0]})
    slack = memory.slack(sizes)
    assert (np.diff(slack) < 0).all()
    assert slack[1] > 0


def purchases(runs, **changes):
    sources = {
        "web": {"tokens": 2e9, "sample_tokens": 1e9},
        "books": {"tokens": 2e10, "sample_tokens": 1e8, "price": "40 USD"},
        "spam": {"tokens": 1e8, "price": "30 USD"},
    }
    budget = {"money": "100 USD", "price_per_hour": "2 USD", "flops_per_second": 6e14}
    return plan_table(runs, spec(**({"sources": sources, "budget": budget} | changes)))


def test_a_source_is_bought_when_its_tokens_are_worth_more_than_compute(runs):
    """100 USD buy 1.1e20 FLOPs; the free source lasts for 8e9 tokens, far below the best."""
    plan = purchases(runs)
    assert plan.purchase.bought == ("books",)
    assert plan.purchase.value < plan.purchase.without
    assert plan.purchase.worth["books"] > 0 >= plan.purchase.worth["spam"]
    flops = 6 * plan.decision.point["params"] * plan.decision.point["tokens"]
    assert flops <= 0.6 * 50 * 3600 * 6e14 * 1.001  # 60 USD are left for compute
    assert plan.decision.point["tokens"] <= 4 * 2.2e10 * 1.001


def test_excluded_licences_and_bad_sources(runs):
    one = {"web": {"tokens": 2e9, "licence": "nc"}}
    with pytest.raises(InputError, match=r"exclude_licences \(nc\) leaves no source"):
        purchases(runs, sources=one, exclude_licences=["nc"])
    with pytest.raises(InputError, match="declares 1,000 tokens, its sample alone has 5,000"):
        purchases(runs, sources={"web": {"tokens": 1000, "sample_tokens": 5000}})
    with pytest.raises(InputError, match="mixed currencies"):
        purchases(runs, sources={"a": {"tokens": 1e9}, "b": {"tokens": 1e9, "price": "9 EUR"}})
    dear = {"a": {"tokens": 1e9}, "b": {"tokens": 1e9, "price": 9}}
    with pytest.raises(InputError, match="the budget is not money; give money_for_data"):
        purchases(runs, sources=dear, budget={"flops": 1e20})


def test_mixture_belief_finds_the_planted_best():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(4), size=160)
    best = np.array([0.5, 0.3, 0.2, 0.0])
    loss = 2 + ((shares - best) ** 2).sum(axis=1) + 0.002 * rng.standard_normal(160)
    columns = {f"mix.{name}": shares[:, k] for k, name in enumerate("abcd")}
    runs = pl.DataFrame(columns).with_columns(loss=pl.Series(loss))
    belief = MixtureBelief(runs[:120], y="loss", worlds=200)
    rest = runs[120:]
    pick = int(belief.draws(rest).mean(axis=0).argmin())
    assert loss[120:][pick] <= np.sort(loss[120:])[2]
    assert belief.losses[belief.law] == min(belief.losses.values())


def test_scores_are_planned_on_their_error_rate(runs):
    by_loss = plan_table(runs, spec())
    score = runs.with_columns(acc=0.9 - pl.col("loss") / 20).drop("loss")
    for table in (score, score.with_columns(100 * pl.col("acc"))):
        plan = plan_table(table, spec(y="acc"))
        assert any("acc is a score: results here are its error rate" in n for n in plan.notes)
        both = [np.log(each.decision.point["params"]) for each in (plan, by_loss)]
        assert both[0] == pytest.approx(both[1], abs=0.7)
        flops = 6 * plan.decision.point["params"] * plan.decision.point["tokens"]
        assert flops == pytest.approx(1e20, rel=1e-3)
        assert 0.1 < np.median(plan.decision.draws) < 0.1 + runs["loss"].min() / 20


def test_rows_with_gaps_are_left_out_and_settings_in_the_space_are_not_doubted(runs):
    swept = pl.concat(
        [
            runs.with_columns(
                lr=pl.lit(lr), loss=pl.col("loss") * (1 + 0.02 * np.log(lr / 1e-3) ** 2)
            )
            for lr in (3e-4, 1e-3, 3e-3)
        ]
    ).with_columns(loss=pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise("loss"))
    plan = plan_table(swept, spec(space=SPEC["space"] | {"lr": {"low": 1e-4, "high": 1e-2}}))
    assert "1 of 72 rows have no loss and were left out." in plan.notes
    assert not any("no law reads" in note for note in plan.notes)
    held = plan_table(swept, spec())
    assert any("lr has 3 values" in note for note in held.notes)


def test_the_users_own_names_are_mapped(runs, tmp_path):
    runs.rename({"params": "n", "tokens": "d"}).write_csv(tmp_path / "runs.csv")
    (tmp_path / "spec.yaml").write_text(json.dumps(SPEC))
    arguments = [str(tmp_path / "runs.csv"), str(tmp_path / "spec.yaml")]
    found = CliRunner().invoke(app, ["decide", *arguments, "--x", "params=n,tokens=d"])
    assert found.exit_code == 0, found.output
    refused = CliRunner().invoke(app, ["next", *arguments])
    assert "say --x params=n,tokens=d" in str(refused.exception or refused.output)
