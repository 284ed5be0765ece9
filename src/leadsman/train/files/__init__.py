"""Recipe and ladder files: one run, or a design of runs, as a person writes them.

    sources: {code: data/code.jsonl, prose: data/prose.parquet}
    held_out: {target: data/target.jsonl}
    model: {width: 96}
    tokens: 400_000
    lr: 0.006                     # everything from here on may be left out

A ladder file has lists where a recipe file has values (``widths``, ``tokens``, ``lrs``,
``seeds``) and several named mixtures; it stands for every combination. Recipes that differ in
``tokens`` only are branched from one trunk. A source is a token set, or text, which is tokenised
once under ``out/tokens``.
"""

from leadsman.train.files.check import check_design
from leadsman.train.files.load import Design, load_ladder_file, load_recipe_file

__all__ = ["Design", "check_design", "load_ladder_file", "load_recipe_file"]
