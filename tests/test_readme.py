"""What the README claims is what was measured, and its code runs."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONDITIONS = ["in range", "polarizer shift", "red shift"]


def readme_table():
    """Return the cells of the table between its markers, by the name of the model."""
    block = README.split("<!-- table: benchmarks/results/light_tunnel.csv -->")[1]
    lines = block.split("<!-- end of table -->")[0].strip().splitlines()
    cells = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["model", *CONDITIONS, "cosine"]
    return {row[0]: row[1:] for row in cells[2:]}


def test_table_is_what_was_measured():
    results = pd.read_csv(ROOT / "benchmarks/results/light_tunnel.csv")
    near = results[results["start"] == 1.0]
    assert near["seed"].nunique() == 3
    table = readme_table()
    assert set(table) == set(near["model"])
    for model, group in near.groupby("model"):
        *errors, cosine = table[model]
        assert errors == [f"{group[condition].mean():.0f}" for condition in CONDITIONS], model
        known = group["cosine"].notna().all()
        assert cosine == (f"{group['cosine'].mean():.4f}" if known else ""), model


def test_every_file_and_target_named_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make (\w+)`", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in set(re.findall(r"(?:benchmarks|examples|docs)/[\w/]+\.(?:py|csv)", README)):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_first_example_runs(monkeypatch, data_home):
    pytest.importorskip("pandas")
    monkeypatch.setenv("SKHYBRID_DATA", str(data_home))
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    quick = code.replace("HybridRegressor(malus,", "HybridRegressor(malus, max_epochs=2,")
    assert quick != code
    names: dict = {}
    exec(compile(quick, "README.md", "exec"), names)
    assert set(names["model"].physics_params_) == {"gain", "leak"}
    assert names["physics"].shape == names["network"].shape == (len(names["tunnel"].data),)
