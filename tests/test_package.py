"""The package as an importer sees it: exported names, and what it must not pull in."""

import subprocess
import sys

import leadsman


def loaded_modules(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_exported_names_resolve_to_their_rooms():
    for name in leadsman.__all__:
        assert getattr(leadsman, name) is not None
    assert leadsman.Ledger.__module__ == "leadsman.runs.ledger"


def test_import_pulls_in_nothing_heavy():
    heavy = {"torch", "numpy", "polars", "numba", "duckdb", "plotly", "pydantic", "ray"}
    assert not heavy & loaded_modules("import leadsman")


def test_help_loads_no_numerics():
    heavy = {"torch", "polars", "numba", "duckdb", "plotly", "scipy"}
    assert not heavy & loaded_modules("import leadsman.cli.main")


WITHOUT_TORCH = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "peft", "ray"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
rooms = "corpus select mix train adapt compress evaluate runs laws plan report engine testing"
for room in rooms.split():
    importlib.import_module(f"leadsman.{room}")
from leadsman.methods import KINDS
from leadsman.registry import methods
names = [name for kind in KINDS for name in methods(kind)]
assert {"dsir", "chinchilla"} <= set(names), names
"""


def test_every_room_and_every_method_imports_without_torch():
    result = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
