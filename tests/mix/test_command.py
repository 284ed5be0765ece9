from typer.testing import CliRunner

from leadsman.cli.main import app
from leadsman.corpus import write_corpus
from leadsman.runs import Mixture
from leadsman.testing.mixers import draw_documents
from leadsman.train.files.schema import RecipeFile


def test_the_command_ends_in_weights_a_recipe_file_takes(tmp_path):
    import yaml

    rows = [
        {"text": text, "source": f"s{language}"}
        for language in range(3)
        for text in draw_documents(language, 80, 0)
    ]
    sources = write_corpus(tmp_path / "sources", rows)
    target = write_corpus(tmp_path / "target", [{"text": t} for t in draw_documents(1, 60, 1)])
    out = tmp_path / "out"
    arguments = ["mix", sources.location, "-t", target.location, "-o", str(out)]
    arguments += ["--method", "target-likelihood", "--seeds", "3"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "gain" in result.output
    assert "not surely better" not in result.output
    block = yaml.safe_load((out / "mixture.yaml").read_text())
    recipe = {"sources": {"s0": "a", "s1": "b", "s2": "c"}, "held_out": {"t": "d"}}
    file = RecipeFile(**recipe, model={"width": 64}, tokens=10**6, **block)
    assert Mixture("file", file.mixture).weights["s1"] > 0.9
    dry = CliRunner().invoke(app, [*arguments, "--dry-run"])
    assert "6 cheap runs" in dry.output
