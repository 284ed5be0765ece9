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


def test_every_room_imports_without_torch():
    block = "sys.modules['torch'] = None; sys.modules['transformers'] = None"
    rooms = "corpus select mix train adapt compress evaluate runs laws plan report engine testing"
    imports = "; ".join(f"import leadsman.{room}" for room in rooms.split())
    loaded_modules(f"{block}; {imports}")
