"""Lists the benchmarks, or runs one: `make bench`, `make bench ARGS="laws/fit_speed --help"`."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def benchmarks() -> dict[str, Path]:
    """Every runnable script below this folder, by its path without ``.py``."""
    found = sorted(HERE.rglob("*.py"))
    return {
        path.relative_to(HERE).with_suffix("").as_posix(): path
        for path in found
        if path.name != "__main__.py" and '__name__ == "__main__"' in path.read_text()
    }


def first_line(path: Path) -> str:
    """What the script measures, in its own words."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def main() -> None:
    """Run the benchmark named first with the rest as its arguments; without a name, list all."""
    scripts = benchmarks()
    if len(sys.argv) < 2:
        for name, path in scripts.items():
            print(f"{name:32}{first_line(path)}")
        return
    name = sys.argv[1].removeprefix("benchmarks/").removesuffix(".py")
    if name not in scripts:
        sys.exit(f"there is no benchmark {name!r}; `make bench` lists them")
    sys.argv = [str(scripts[name]), *sys.argv[2:]]
    runpy.run_path(str(scripts[name]), run_name="__main__")


if __name__ == "__main__":
    main()
