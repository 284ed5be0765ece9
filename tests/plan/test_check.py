"""What is wrong with a project is said before anything is read or trained, in one sentence."""

import copy
import json

import pytest
import yaml

from leadsman.errors import BudgetError, InputError, LeadsmanError
from leadsman.plan.check import check_project, size_notes
from leadsman.plan.project import load_project
from leadsman.plan.soundings import check_budget

GOOD = {
    "sources": [{"name": "web", "path": "web.jsonl"}, {"name": "docs", "path": "docs.jsonl"}],
    "target": {"path": "target.jsonl"},
    "budget": {"flops": 1e12},
    "tokenizer": {"vocab_size": 512},
    "soundings": {"minutes": 1.0, "widths": [24, 32, 48]},
}


@pytest.fixture
def checked(tmp_path):
    """Checks the good project with a change of sections."""
    for name in ("web", "docs", "target"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": name}) + "\n")

    def check(**changes):
        project = copy.deepcopy(GOOD)
        project["sources"][1] |= changes.pop("docs", {})
        file = tmp_path / "leadsman.yaml"
        file.write_text(yaml.safe_dump(project | changes))
        project = load_project(file)
        notes = check_project(project)
        return notes + size_notes(project, check_budget(project))

    return check


def test_a_good_project_passes_without_a_note(checked):
    assert checked() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"docs": {"path": "gone.jsonl"}}, r"gone.jsonl: there is no such file .*source 'docs'"),
        ({"docs": {"path": "web.jsonl"}}, "source 'web' and source 'docs' are the same text"),
        ({"target": {"path": "../x/web.jsonl"}}, "no such file .*the target"),
        ({"target": {"path": "./web.jsonl"}}, "source 'web' and the target are the same text"),
        ({"docs": {"name": "target"}}, "a source cannot be called 'target'"),
        ({"docs": {"name": "selected"}}, "a source cannot be called 'selected'"),
        ({"selection": {"method": "dsri"}}, "no selector is called 'dsri'; did you mean dsir"),
        ({"selection": {"options": {"bukkets": 3}}}, "'selection.options': dsir .*'bukkets'"),
        ({"vary": {"optimizer": ["adam-w"]}}, "vary: .*no optimizer is called 'adam-w'"),
        ({"vary": {"methods": [{"gstak": {}}]}}, "vary: .*'gstak' is not"),
        ({"vary": {"methods": [{"gstack": {"faktor": 2}}]}}, "methods.gstack.*'faktor'"),
        ({"vary": {"methods": [{"gstack": {"factor": 0}}]}}, "^vary: .*factor"),
        ({"vary": {"batch_tokens": [1000]}}, "1000 is no number of whole sequences of 256"),
        ({"soundings": {"widths": [24, 48, 48]}}, "'soundings.widths': 48 is named twice"),
        ({"soundings": {"widths": "24, 48, 64"}}, "should be a list, not '24, 48, 64'"),
        ({"soundings": {"widths": [24, 48]}}, r"a list of at least 3, not \[24, 48\]"),
        ({"budget": {"flops": float("inf")}}, "'budget.flops': .*finite number, not inf"),
        ({"soundings": {"mixtures": ["natural", "natural"]}}, "natural is named twice"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(checked, changes, message):
    with pytest.raises(LeadsmanError, match=message):
        checked(**changes)


def test_too_few_minutes_name_the_field(checked):
    with pytest.raises(BudgetError, match=r"soundings.minutes: 0.1 minutes are too few .* least"):
        checked(soundings={"minutes": 0.1})


def test_a_key_that_stands_twice(tmp_path):
    file = tmp_path / "leadsman.yaml"
    file.write_text(f"budget: {{flops: 1.0e+15}}\n{yaml.safe_dump(GOOD)}")
    with pytest.raises(InputError, match="line 2: 'budget' stands in line 1 already; keep one"):
        load_project(file)


def test_a_licence_that_no_source_has_is_told(checked):
    excluded = {"exclude_licences": ["cc-by-nd"]}
    notes = checked(docs={"licence": "cc-by-nc"}, decision=excluded)
    assert "no source has the tag cc-by-nd; did you mean cc-by-nc?" in notes[0]
    assert "no licence is given for web" in notes[1]


def test_a_budget_far_beyond_the_sizes_is_told(checked):
    (note,) = checked(budget={"money": "100 USD", "hardware": "H100-SXM"})
    assert "a larger one is probably better; soundings.widths" in note
    limited = {"money": "100 USD", "hardware": "H100-SXM", "max_params": 60_000}
    assert checked(budget=limited) == []  # the size is what was asked for
