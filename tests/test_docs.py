"""What the documentation shows is what the code does."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadsman.cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/*.md"))


def test_python_example_of_the_readme_runs(capsys):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert code is not None
    exec(compile(code.group(1), "README.md", "exec"), {})
    assert "q975" in capsys.readouterr().out


def test_page_of_methods_is_current():
    told = CliRunner().invoke(app, ["methods", "--markdown"])
    assert told.stdout.strip() == (ROOT / "docs/methods.md").read_text().strip(), "run `make docs`"


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


# The log tells of scripts that have moved since.
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "log.md"])
def test_scripts_that_pages_name_are_there(page):
    text = page.read_text()
    files = set(re.findall(r"\bbenchmarks/[\w/]+\.py\b", text))
    modules = re.findall(r"-m (benchmarks\.[\w.]+\w)", text)
    files |= {module.replace(".", "/") + ".py" for module in modules}
    assert not {each for each in files if not (ROOT / each).exists()}
