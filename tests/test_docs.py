"""What the documentation shows is what the code does."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadsman.cli.main import app

ROOT = Path(__file__).parent.parent


def test_python_example_of_the_readme_runs(capsys):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert code is not None
    exec(compile(code.group(1), "README.md", "exec"), {})
    assert "q975" in capsys.readouterr().out


def test_page_of_methods_is_current():
    told = CliRunner().invoke(app, ["methods", "--markdown"])
    assert told.stdout.strip() == (ROOT / "docs/methods.md").read_text().strip(), "run `make docs`"


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/*.md")))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
