import json

from typer.testing import CliRunner

from leadsman.cli.main import app
from leadsman.corpus import write_corpus

LONG = "A paragraph of the same words in every document, long enough to count as one. " * 2


def test_paragraphs_and_meaning(tmp_path):
    rows = [{"id": f"d{i}", "text": f"{LONG}\n\nPart number {i} of it all.\n"} for i in range(4)]
    raw = write_corpus(tmp_path / "raw", rows, source="docs")
    runner = CliRunner()
    common = ["dedup", raw.location, "--max-source-loss", "1", "-o"]
    result = runner.invoke(app, [*common, str(tmp_path / "p"), "--method", "paragraph"])
    assert result.exit_code == 0, result.output
    assert "3 paragraphs" in result.output
    shown = runner.invoke(app, [*common, str(tmp_path / "p"), "--explain", "d2"])
    assert json.loads(shown.output)["removed_spans"][0]["kept_id"] == "d0"
    result = runner.invoke(
        app, [*common, str(tmp_path / "s"), "--method", "semantic", "--threshold", "0.3"]
    )
    assert result.exit_code == 0, result.output
    assert "every removal has its neighbour: lowest cosine" in result.output
    dry = runner.invoke(app, [*common, str(tmp_path / "x"), "--method", "line", "--dry-run"])
    assert "about" in dry.output
