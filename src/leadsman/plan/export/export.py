"""A recipe for other trainers: Hugging Face Trainer, axolotl, torchtitan, litgpt.

    OUT/recipe.json    what was exported, as Leadsman stores it
        model/         config.json, tokenizer.json; model.safetensors with the initial weights
        NOTES.md       how to start it, and what the tool cannot carry over
        ...            the tool's own script or config

What a tool cannot express is said in the notes, never dropped in silence; what would make another
run of it (an optimizer or a training method the tool does not have) is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leadsman.errors import InputError
from leadsman.files import Directory
from leadsman.plan.export.axolotl import axolotl_files
from leadsman.plan.export.common import Exported, refuse_unknown
from leadsman.plan.export.hf_trainer import hf_trainer_files
from leadsman.plan.export.litgpt import litgpt_files
from leadsman.plan.export.torchtitan import torchtitan_files
from leadsman.runs import Recipe

CONTINUES = frozenset({"hf-trainer"})
"""Tools that can re-warm and begin with given weights."""
TOOLS: dict[str, Callable[[Recipe], Exported]] = {
    "hf-trainer": hf_trainer_files,
    "axolotl": axolotl_files,
    "torchtitan": torchtitan_files,
    "litgpt": litgpt_files,
}


@dataclass(frozen=True)
class Chosen:
    """A recipe to export.

    Attributes:
        recipe: what is to be run.
        work: the project's working directory, if it comes from one: it has tokens and tokenizer.
        starts: folder of each base model of the plan, by ``Recipe.start``.
    """

    recipe: Recipe
    work: Path | None = field(default=None)
    starts: Mapping[str, str] = field(default_factory=dict)


def read_chosen(place: Path) -> Chosen:
    """The recipe in a recipe file, a plan, or a project.

    Args:
        place: ``recipe.json``, ``plan.json``, a project's YAML file, its directory, or its working
            directory.

    Raises:
        InputError: there is no recipe there.
    """
    if place.is_file() and place.suffix in (".yaml", ".yml"):
        place = place.parent
    if place.is_dir():
        found = [each for each in (place, place / "work") if (each / "plan.json").is_file()]
        if not found:
            raise InputError("has no plan yet; `leadsman plan` makes one", file=place)
        place = found[0] / "plan.json"
    if not place.is_file():
        raise InputError("there is no such file", file=place)
    try:
        plain = json.loads(place.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON: {error}", file=place) from error
    starts: dict[str, str] = {}
    if isinstance(plain, dict) and isinstance(plain.get("chosen"), dict):
        starts = {each["weights"]: each["path"] for each in plain.get("starts", ())}
        plain = plain["chosen"].get("recipe")
    if not isinstance(plain, dict):
        raise InputError("holds neither a recipe nor a plan", file=place)
    try:
        recipe = Recipe.from_dict(plain)
    except InputError as error:
        raise InputError(f"holds no recipe: {error}", file=place) from error
    inside = (place.parent / "stages").is_dir()
    return Chosen(recipe, place.parent if inside else None, starts)


def export_recipe(chosen: Chosen, tool: str, out: Path, *, weights: bool = True) -> list[Path]:
    """Write a recipe for another trainer.

    Args:
        chosen: the recipe, and the project it comes from.
        tool: ``hf-trainer``, ``axolotl``, ``torchtitan`` or ``litgpt``.
        out: directory; what is in it under the same names is replaced.
        weights: write the initial weights (needs the extra ``train``); without them the tool draws
            its own. A run that continues a base model cannot do without.

    Returns:
        The files that were written.

    Raises:
        InputError: no such tool, ``out`` cannot be written, or the base model to continue from is
            not where the plan found it.
        MethodError: the recipe uses an optimizer or method that the tool does not have.
        MissingExtraError: ``weights`` without torch.
    """
    if tool not in TOOLS:
        raise InputError(f"{tool!r} is not known; known are {', '.join(TOOLS)}", column="--to")
    refuse_unknown(chosen.recipe, tool, continues=tool in CONTINUES)
    if chosen.recipe.start and not weights:
        raise InputError(
            "this run continues a base model, so its weights belong to it; leave --no-weights out",
            column="--no-weights",
        )
    exported = TOOLS[tool](chosen.recipe)
    files: dict[str, bytes] = {name: text.encode() for name, text in exported.files.items()}
    files["recipe.json"] = json.dumps(chosen.recipe.to_dict(), indent=1).encode()
    files["model/config.json"] = json.dumps(chosen.recipe.shape.hf_config(), indent=1).encode()
    if chosen.work is not None:
        files |= _of_project(chosen)
    notes = _notes(tool, exported.notes, chosen, weights=weights)
    files["NOTES.md"] = notes.encode()
    directory = Directory(str(out))
    for name, content in files.items():
        directory.write(name, content)
    if weights:
        _write_weights(chosen, out / "model")
        files["model/model.safetensors"] = b""
    return [out / name for name in sorted(files)]


def _of_project(chosen: Chosen) -> dict[str, bytes]:
    """The tokenizer, and where the tokens of each source lie."""
    work = chosen.work
    assert work is not None
    files = {}
    if (work / "tokenizer.json").is_file():
        files["model/tokenizer.json"] = (work / "tokenizer.json").read_bytes()
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>",
            "model_max_length": chosen.recipe.shape.seq_len,
        }
        files["model/tokenizer_config.json"] = json.dumps(settings, indent=1).encode()
    places = {
        name: str((work / "tokens" / name).resolve())
        for name, weight in chosen.recipe.mixture.weights.items()
        if weight > 0 and (work / "tokens" / name).is_dir()
    }
    files["tokens.json"] = json.dumps(places, indent=1).encode()
    return files


def _write_weights(chosen: Chosen, out: Path) -> None:
    from leadsman.errors import MissingExtraError

    try:
        from leadsman.train.hf import save_hf
        from leadsman.train.model import Decoder
        from leadsman.train.parametrization import initialize
        from leadsman.train.start import load_start
    except ImportError as error:
        raise MissingExtraError("train", "writing initial weights") from error
    recipe, config = chosen.recipe, (out / "config.json").read_bytes()
    model = load_start(recipe, chosen.starts.get(recipe.start, ""))
    if model is None:
        model = Decoder(recipe.shape)
        initialize(model, seed=recipe.seed)
    save_hf(model, out)
    Directory(str(out)).write("config.json", config)


def _notes(tool: str, notes: Sequence[str], chosen: Chosen, *, weights: bool) -> str:
    recipe = chosen.recipe
    lines = [f"# Recipe {recipe.id} for {tool}", "", *notes, "", "Mixture (share of tokens):", ""]
    lines += [f"- {name}: {100 * share:.2f} %" for name, share in recipe.mixture.weights.items()]
    whose = "those of Leadsman" if weights else "drawn by the tool"
    if recipe.start:
        whose = f"those of the base model in {chosen.starts.get(recipe.start)}"
    lines += ["", f"Initial weights: {whose}."]
    if chosen.work is None:
        lines += ["", "Exported from a recipe alone: tokenizer and data are yours to add."]
    return "\n".join(lines) + "\n"
