"""Parameters that are "auto": chosen by their rule, reported, and used in the fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import cross_val_score
from sklearn.utils._param_validation import InvalidParameterError
from small_models import Recorder, drive, drive_two, make_model, make_table
from small_trajectories import DT, make_oscillations, spring

from skhybrid import ODE, HybridRegressor, HybridSearchCV
from skhybrid.batching import auto_parameters
from skhybrid.exceptions import SerialMembersWarning
from skhybrid.model_selection.rules import one_standard_error

RADII = (0.0, 0.1)
PENALTIES = dict.fromkeys(auto_parameters.PENALTIES, (0.0, 0.1))


@pytest.fixture(autouse=True)
def few_candidates(monkeypatch):
    monkeypatch.setattr(auto_parameters, "RADII", RADII)
    monkeypatch.setattr(auto_parameters, "REFINE_RADII", (0.0, None))
    monkeypatch.setattr(
        auto_parameters, "PENALTIES", dict.fromkeys(auto_parameters.PENALTIES, (0.0, 0.1))
    )


@pytest.fixture
def table():
    return make_table()


def make_ode_model(**settings):
    settings = {"nn": (4,), "structure": ODE(dt=DT), "max_epochs": 3, **settings}
    return HybridRegressor(spring, random_state=0, **settings)


def assert_same_prediction(first, second, X):
    assert first.predict(X) == pytest.approx(second.predict(X), rel=1e-9)


def test_the_fit_uses_the_chosen_radius(table):
    X, y = table
    model = make_model(rho="auto").fit(X, y)
    assert model.rho == "auto"
    assert model.rho_ in RADII
    assert_same_prediction(model, make_model(rho=model.rho_).fit(X, y), X)


def test_the_path_has_a_row_for_each_candidate(table):
    X, y = table
    path = make_model(rho="auto").fit(X, y).rho_path_
    assert path["rho"].tolist() == list(RADII)
    assert {len(column) for column in path.values()} == {2}
    assert path["chosen"].sum() == 1
    assert min(path["worse than best"]) == 0.0
    assert (path["spread of gain"] > 0).all()
    assert ((path["physics share"] > 0) & (path["physics share"] <= 1)).all()


def test_the_default_second_phase_stays_unless_another_is_clearly_better(table):
    X, y = table
    model = make_model(refine_rho="auto", batch_size=10).fit(X, y)
    path = model.refine_rho_path_
    assert path["refine_rho"].tolist() == [0.0, None]
    clearly = path["worse than best"][0] > path["standard error"][0]
    assert model.refine_rho_ == (None if clearly else 0.0)
    assert path["gain"][0] == pytest.approx(path["gain"][1], rel=1e-9), "θ is held"
    assert_same_prediction(
        model, make_model(refine_rho=model.refine_rho_, batch_size=10).fit(X, y), X
    )


@pytest.mark.parametrize("name", ["l2", "functional_norm", "orthogonality"])
def test_a_penalty_is_the_largest_that_predicts_as_well(name, table):
    X, y = table
    model = make_model(**{name: "auto"}).fit(X, y)
    path = getattr(model, f"{name}_path_")
    within = path["worse than best"] <= path["standard error"]
    assert getattr(model, f"{name}_") == path[name][within].max()
    assert_same_prediction(model, make_model(**{name: getattr(model, f"{name}_")}).fit(X, y), X)


def test_the_network_reads_the_features_of_the_missing_term(table):
    X, y = table
    model = make_model(nn_features="auto", max_epochs=50, learning_rate=0.04).fit(X, y)
    assert model.nn_features_ == ["angle"]
    sets = [list(each) for each in model.nn_features_path_["nn_features"]]
    assert sets == [["force"], ["angle"], ["force", "angle"]]
    assert_same_prediction(
        model, make_model(nn_features=["angle"], max_epochs=50, learning_rate=0.04).fit(X, y), X
    )
    numbered = make_model(nn_features="auto", max_epochs=1).fit(X.to_numpy(), y)
    sets = [list(each) for each in numbered.nn_features_path_["nn_features"]]
    assert sets == [[0], [1], [0, 1]]
    assert numbered.nn_features_ in sets


def test_many_features_are_left_out_one_by_one(monkeypatch, table):
    monkeypatch.setattr(auto_parameters, "MAX_SETS", 2)
    X, y = table
    X = X.assign(noise=np.random.default_rng(0).normal(size=len(X)))
    model = make_model(nn_features="auto", max_epochs=50, learning_rate=0.04).fit(X, y)
    assert model.nn_features_ == ["angle"]
    sets = [list(each) for each in model.nn_features_path_["nn_features"]]
    assert sets[0] == ["force", "angle", "noise"]
    assert [len(each) for each in sets[1:4]] == [2, 2, 2]


def test_the_components_of_an_ode_are_states_and_time():
    model = make_ode_model(nn_features="auto", max_epochs=1, physics_init="given")
    model.fit(*make_oscillations(10, n_times=4))
    candidates = {name for each in model.nn_features_path_["nn_features"] for name in each}
    assert candidates == {"state_0", "state_1", "time"}


def test_all_at_once_in_the_order_that_is_documented(table, capsys):
    X, y = table
    names = ["nn_features", "rho", "l2", "functional_norm", "orthogonality", "refine_rho"]
    model = make_model(**dict.fromkeys(names, "auto"), max_epochs=4, verbose=1).fit(X, y)
    said = [line.split("=")[0] for line in capsys.readouterr().out.splitlines()]
    assert [name for name in said if name in names] == names
    chosen = {name: getattr(model, f"{name}_") for name in names}
    assert_same_prediction(model, make_model(**chosen, max_epochs=4).fit(X, y), X)


def test_another_fit_forgets_the_choice(table):
    X, y = table
    model = make_model(rho="auto").fit(X, y)
    model.set_params(rho=0.1).fit(X, y)
    assert not hasattr(model, "rho_")
    assert not hasattr(model, "rho_path_")


def test_the_choice_is_repeatable_and_survives_cloning(table):
    X, y = table
    model = make_model(rho="auto", refine_rho="auto")
    first, second = model.fit(X, y), clone(model).fit(X, y)
    assert first.rho_ == second.rho_
    assert (first.predict(X) == second.predict(X)).all()


def test_without_physics_parameters_the_prediction_decides(table):
    X, y = table
    model = make_model(physics=None, rho="auto").fit(X, y)
    path = model.rho_path_
    within = path["worse than best"] <= path["standard error"]
    assert model.rho_ == path["rho"][within].max()


def test_weights_are_used_in_the_folds(table):
    X, y = table
    wrong = y.copy()
    wrong[:10] = 1e3
    weight = np.r_[np.zeros(10), np.ones(30)]
    path = make_model(refine_rho="auto").fit(X, wrong, sample_weight=weight).refine_rho_path_
    assert path["score"].max() > 0.9


def test_trajectories_are_held_out_whole():
    X, y = make_oscillations(10)
    model = make_ode_model(rho="auto").fit(X, y)
    assert model.rho_ in RADII
    with pytest.raises(ValueError, match="cut each long trajectory into several"):
        model.fit(X[:1], y[:1])


def test_too_few_rows_are_refused(table):
    X, y = table
    with pytest.raises(ValueError, match=r"rho='auto' compares candidates on 5 folds.*X has 9"):
        make_model(rho="auto").fit(X[:9], y[:9])


@pytest.mark.parametrize("name", ["rho", "refine_rho", "l2", "nn_features"])
def test_rows_without_a_target_do_not_count(name, table):
    X, y = table
    X, gaps = X.loc[X.index.repeat(2)], np.full(2 * len(y), np.nan)
    gaps[::2] = y
    weight = np.linspace(0.5, 2.0, len(gaps))
    options = {name: "auto", "missing_targets": "mask", "max_epochs": 5}
    masked = make_model(**options).fit(X, gaps, weight)
    dropped = make_model(**options).fit(X[::2], y, weight[::2])
    assert getattr(masked, f"{name}_") == getattr(dropped, f"{name}_")
    for column, values in getattr(dropped, f"{name}_path_").items():
        found = getattr(masked, f"{name}_path_")[column]
        assert found.tolist() == values.tolist()
    with pytest.raises(ValueError, match="X has 9 with a known target"):
        make_model(**options).fit(X[:18], gaps[:18])
    with pytest.raises(ValueError, match="set missing_targets='mask'"):
        make_model(**{name: "auto"}).fit(X, gaps)


def test_a_target_that_a_fold_lacks_does_not_stop_the_choice(table):
    X, y = table
    targets = np.column_stack([y, 3.0 * y])
    targets[5:, 1] = np.nan
    model = make_model(physics=drive_two, rho="auto", l2="auto", missing_targets="mask")
    with pytest.warns(UndefinedMetricWarning, match="Column 1 of y"):
        model.fit(X, targets)
    assert np.isfinite(model.l2_path_["score"]).all()


def test_a_typo_is_refused(table):
    with pytest.raises(InvalidParameterError, match="rho"):
        make_model(rho="automatic").fit(*table)


def test_a_candidate_that_fails_is_not_chosen(table):
    def fragile(force, *, gain=1.0, offset=0.1):
        if torch.is_grad_enabled() and not bool((force > 0).all()):
            raise RuntimeError
        return gain * force + offset

    X, y = table
    model = make_model(physics=fragile, rho="auto")
    with pytest.warns(SerialMembersWarning):
        assert model.fit(X, y).rho_ in RADII
    with pytest.raises(ValueError, match="is not finite"):
        make_model(physics=lambda force, *, gain=1.0: gain * force / 0.0, rho="auto").fit(X, y)


def test_serial_members_are_reported_once(table):
    def branching(force, *, gain=1.0, offset=0.1):
        return gain * force + offset if float(force.sum()) > 0 else offset * force

    X, y = table
    model = make_model(
        physics=branching,
        rho="auto",
        refine_rho="auto",
        nn_features="auto",
        batch_size=10,
        max_epochs=3,
    )
    with pytest.warns(SerialMembersWarning) as caught:
        model.fit(X, y)
    assert sum(issubclass(each.category, SerialMembersWarning) for each in caught) == 1
    plain = make_model(physics=drive, nn_features=model.nn_features_, batch_size=10, max_epochs=3)
    plain.set_params(rho=model.rho_, refine_rho=model.refine_rho_)
    assert_same_prediction(model, plain.fit(X, y), X)


def test_callbacks_see_the_final_fit_alone(table):
    X, y = table
    recorder = Recorder()
    make_model(rho="auto", max_epochs=4).set_callbacks(recorder).fit(X, y)
    epochs = [context for context in recorder.ended if context.task_name.endswith("epoch")]
    assert len(epochs) == 4


def test_in_cross_validation_and_in_a_search(table):
    X, y = table
    model = make_model(rho="auto", max_epochs=2)
    assert np.isfinite(cross_val_score(model, X, y, cv=2)).all()
    search = HybridSearchCV(model, {"l2": [0.0, 0.1]}, cv=2, refit=one_standard_error("l2"))
    assert search.fit(X, y).best_estimator_.rho_ in RADII
