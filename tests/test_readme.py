"""What the README claims is what was measured, and its code runs."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONDITIONS = ["in range", "polarizer shift", "red shift"]


DYNAMICS = {
    "pendulum, friction missing": "pendulum",
    "the same, noise 0.02": "pendulum, noise 0.02",
    "the same, noise 0.1": "pendulum, noise 0.1",
    "Duffing, damping missing": "Duffing, network sees velocity",
    "predators and prey, interference missing": "predators and prey",
}
RECORDS = {"physics alone": "physics", "network alone": "network", "hybrid, SAM": "hybrid"}


def readme_table(results, headings):
    """Return the cells of the table between its markers, by what their rows begin with."""
    block = README.split(f"<!-- table: benchmarks/results/{results} -->")[1]
    lines = block.split("<!-- end of table -->")[0].strip().splitlines()
    cells = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == headings
    return {row[0]: row[1:] for row in cells[2:]}


def test_table_is_what_was_measured():
    results = pd.read_csv(ROOT / "benchmarks/results/light_tunnel.csv")
    near = results[results["start"] == 1.0]
    assert near["seed"].nunique() == 3
    table = readme_table("light_tunnel.csv", ["model", *CONDITIONS, "cosine"])
    assert set(table) == set(near["model"])
    for model, group in near.groupby("model"):
        *errors, cosine = table[model]
        assert errors == [f"{group[condition].mean():.0f}" for condition in CONDITIONS], model
        known = group["cosine"].notna().all()
        assert cosine == (f"{group['cosine'].mean():.4f}" if known else ""), model


STATIC = {
    "100 rows, noise 0.2": ("drag, 100 rows, noise 0.2", "least_squares"),
    "the same from a far start": ("drag, 100 rows, noise 0.2", "given"),
    "400 rows, noise 0.05, from a far start": ("drag, 400 rows, noise 0.05", "given"),
    "400 rows, missing part wiggly": ("wiggly, 400 rows, noise 0.05", "least_squares"),
    "400 rows, noise 0.05": ("drag, 400 rows, noise 0.05", "least_squares"),
    "400 rows, no noise": ("drag, 400 rows, clean", "least_squares"),
}
FAR_START = 0.2


def test_table_with_known_truth_is_what_was_measured():
    results = pd.read_csv(ROOT / "benchmarks/results/static_tasks.csv")
    headings = ["task", "θ, Adam", "θ, SAM", "RMSE, Adam", "RMSE, SAM"]
    table = readme_table("static_tasks.csv", headings)
    assert set(table) == set(STATIC)
    for name, (task, init) in STATIC.items():
        chosen = (results["task"] == task) & (results["physics_init"] == init)
        runs = results[chosen & (results["start"] == FAR_START)]
        shown = []
        for column, form in (("error of omega2, %", ".1f"), ("RMSE", ".3f")):
            for model in ("Adam", "SAM"):
                errors = runs.loc[runs["model"] == model, column]
                assert len(errors) == 5, name
                shown.append(f"{(errors**2).mean() ** 0.5:{form}}")
        assert table[name] == shown, name


def test_output_is_what_was_printed():
    block = README.split("<!-- output: benchmarks/results/readme_output.txt -->\n```text\n")[1]
    shown = block.split("```\n<!-- end of output -->")[0]
    output = (ROOT / "benchmarks/results/readme_output.txt").read_text(encoding="utf-8")
    assert shown == output


def test_table_of_differential_equations_is_what_was_measured():
    results = pd.read_csv(ROOT / "benchmarks/results/dynamics.csv")
    headings = ["task", "physics alone", "hybrid, Adam", "hybrid, SAM"]
    headings += ["rollout MSE, physics alone", "rollout MSE, hybrid"]
    table = readme_table("dynamics.csv", headings)
    assert set(table) == set(DYNAMICS)
    for name, task in DYNAMICS.items():
        group = results[results["task"] == task]
        assert group["seed"].nunique() == 3, task
        errors = group["largest error of theta, %"].abs().groupby(group["model"]).max()
        shown = [f"{errors[model]:.1f}" for model in ("physics alone", "Adam", "SAM")]
        squares = group.groupby("model")["test MSE"].mean()
        shown += [f"{squares[model]:.1g}" for model in ("physics alone", "SAM")]
        assert table[name] == shown, task


def test_table_of_records_is_what_was_measured():
    results = pd.read_csv(ROOT / "benchmarks/results/records.csv")
    tanks = results[results["task"] == "tanks"]
    table = readme_table("records.csv", ["model", "free run, V"])
    assert set(table) == set(RECORDS)
    for name, model in RECORDS.items():
        error = tanks.loc[tanks["model"] == model, "RMSE test"].mean()
        assert table[name] == [f"{error:.2f}"], name


VARYING = {
    "respiration, features uncorrelated": "flux, correlation 0",
    "respiration, correlated 0.6": "flux, correlation 0.6",
    "epidemic, contact rate drops": "SIR, contact rate drops",
}


def test_table_of_varying_parameters_is_what_was_measured():
    results = pd.read_csv(ROOT / "benchmarks/results/varying.csv")
    models = {"physics alone": "physics alone", "hybrid, Adam": "Adam", "hybrid, SAM": "default"}
    headings = ["task", "number", *(f"{name}, %" for name in models), "R² of the function, SAM"]
    table = readme_table("varying.csv", headings)
    assert set(table) == set(VARYING)
    for name, task in VARYING.items():
        own = results[results["task"] == task]
        assert own["seed"].nunique() == 3 and own["finite"].all()
        worst = own["error %"].abs().groupby(own["model"]).max()
        r2 = own.loc[own["model"] == "default", "R2 of the function"].min()
        errors = [f"{worst[model]:.1f}" for model in models.values()]
        assert table[name] == [own["parameter"].iloc[0], *errors, f"{r2:.2f}"], name


SEARCHES = {
    "static task, 90 fits, defaults": ("static", "both"),
    "the same, one phase": ("static", "one"),
    "pendulum in windows, 30 fits, defaults": ("windows", "both"),
    "the same in windows, one phase": ("windows", "one"),
}


def test_table_of_searches_is_what_was_measured():
    results = pd.read_csv(ROOT / "benchmarks/results/search.csv")
    results = results[results["processes"] == 2]
    headings = [
        "search",
        "HybridSearchCV",
        "GridSearchCV, ours",
        "GridSearchCV, skorch",
    ]
    table = readme_table("search.csv", headings)
    assert set(table) == set(SEARCHES)
    for name, (task, phases) in SEARCHES.items():
        runs = results[(results["task"] == task) & (results["phases"] == phases)]
        assert runs["round"].nunique() >= 2
        ratio = runs.groupby("search")["times HybridSearchCV"].median()
        seconds = runs.groupby("search")["seconds"].median()["HybridSearchCV"]
        shown = [f"{seconds:.0f} s", f"{ratio['GridSearchCV']:.1f} times"]
        # The model of skorch has no second phase.
        skorch = ratio.get("GridSearchCV of skorch")
        assert table[name] == [*shown, "" if skorch is None else f"{skorch:.1f} times"]


def test_table_of_automatic_radii_is_what_was_measured():
    results = pd.read_csv(ROOT / "benchmarks/results/tuning_rho.csv")
    results["absolute"] = results["error of theta"].abs()
    headings = ["task", "default 0.05", "best fixed", '`rho="auto"`']
    table = readme_table("tuning_rho.csv", headings)
    for task, cells in table.items():
        runs = results[results["task"] == task]
        assert set(runs["variant"]) == {"fixed", "auto"}, task
        fixed = runs[runs["variant"] == "fixed"].groupby("rho")["absolute"].mean()
        auto = runs.loc[runs["variant"] == "auto", "absolute"].mean()
        assert cells == [f"{fixed[0.05]:.2f}", f"{fixed.min():.2f}", f"{auto:.2f}"], task
    tunnel = results[results["task"] == "light tunnel"]
    fixed = tunnel[tunnel["variant"] == "fixed"].groupby("rho")["cosine"].mean()
    auto = tunnel.loc[tunnel["variant"] == "auto", "cosine"].mean()
    said = r"a cosine of ([\d.]+) \(([\d.]+) with the default,\s+([\d.]+) with the best\)"
    cells = list(re.search(said, README).groups())
    assert cells == [f"{auto:.4f}", f"{fixed[0.05]:.4f}", f"{fixed.max():.4f}"]


def test_every_file_and_target_named_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make (\w+)`", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in set(re.findall(r"(?:benchmarks|examples|docs)/[\w/]+\.(?:py|csv)", README)):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_times_are_what_was_measured():
    results = pd.read_csv(ROOT / "benchmarks/results/readme_times.csv").set_index("block")
    shown = dict(re.findall(r"<!-- time: ([\w ]+) -->(\d+) CPU seconds", README))
    assert shown == {block: f"{time:.0f}" for block, time in results["CPU seconds"].items()}


def test_example_of_a_differential_equation_runs():
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[1]
    quick = code.replace("random_state=0,\n)", "max_epochs=1, refine_rho=None, random_state=0)")
    assert quick != code
    names: dict = {}
    exec(compile(quick, "README.md", "exec"), names)
    assert set(names["model"].physics_params_) == {"omega2"}


def test_a_saved_model_predicts_elsewhere(monkeypatch, tmp_path):
    module, fit, elsewhere = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[-3:]
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lake.py").write_text(module)
    random = np.random.default_rng(0)
    names = ["wind", "deficit", "radiation", "evaporation"]
    table = pd.DataFrame(random.uniform(1.0, 2.0, (30, 4)), columns=names)
    table.to_csv("lake.csv", index=False)
    table.iloc[:5, :3].to_csv("new.csv", index=False)
    quick = fit.replace("HybridRegressor(dalton)", "HybridRegressor(dalton, max_epochs=1)")
    assert quick != fit
    found: dict = {}
    exec(compile(quick, "README.md", "exec"), found)
    predicted = eval(elsewhere.strip(), found)
    assert np.array_equal(predicted, found["model"].predict(table.iloc[:5, :3]))


def test_first_example_runs(monkeypatch, data_home):
    pytest.importorskip("pandas")
    monkeypatch.setenv("SKHYBRID_DATA", str(data_home))
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    quick = code.replace("HybridRegressor(physics,", "HybridRegressor(physics, max_epochs=2,")
    assert quick != code
    names: dict = {}
    exec(compile(quick, "README.md", "exec"), names)
    assert set(names["model"].physics_params_) == {"gain", "leak"}
    n_rows = len(names["tunnel"].data)
    assert names["physics_part"].shape == names["network_part"].shape == (n_rows,)
