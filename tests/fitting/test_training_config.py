"""The training configuration of both phases, from the settings."""

from __future__ import annotations

import dataclasses

import pytest
from small_fits import make_data, make_hybrid

from skhybrid import HybridRegressor
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.training_config import PHYSICS_RATE_FACTOR, make_training_configs
from skhybrid.training.penalties import Penalties


def configs(n_rows=400, *, n_members=1, validates=False, n_stages=1, **settings):
    return make_training_configs(
        FitSettings.of(HybridRegressor(**settings)),
        make_hybrid(make_data()),
        n_rows,
        7,
        n_members=n_members,
        validates=validates,
        n_stages=n_stages,
    )


def n_steps_of(config):
    return config.schedule.n_epochs * config.schedule.n_batches


def test_defaults_are_a_short_phase_with_larger_rates_and_one_of_three_thousand_steps():
    first, second = configs()
    assert first.rho.tolist() == pytest.approx([0.05])
    assert second.rho is None
    for config in (first, second):
        assert config.schedule.n_batches == 7
        assert config.seed == 7
        assert config.patience is None
    assert 1500 <= n_steps_of(first) < 1507
    assert 3000 <= n_steps_of(second) < 3007
    assert first.schedule.decay_part == 0.25
    assert second.schedule.decay_part == 1.0
    rate = HybridRegressor().learning_rate
    assert first.learning_rate.tolist() == pytest.approx([1.5 * rate])
    assert first.physics_learning_rate.tolist() == pytest.approx([1.5 * PHYSICS_RATE_FACTOR * rate])
    assert second.learning_rate.tolist() == pytest.approx([rate])


@pytest.mark.parametrize(
    "settings",
    [{"max_epochs": 40}, {"optimizer": "adam"}, {"early_stopping": True}],
    ids=str,
)
def test_other_fits_have_the_given_rates_and_a_whole_cosine(settings):
    first, _ = configs(**settings)
    rate = HybridRegressor().learning_rate
    assert first.schedule.decay_part == 1.0
    assert first.learning_rate.tolist() == pytest.approx([rate])
    assert first.physics_learning_rate.tolist() == pytest.approx([PHYSICS_RATE_FACTOR * rate])
    assert n_steps_of(first) >= 280


def test_a_given_physics_rate_keeps_its_ratio_and_zero_holds_theta():
    for rate in (0.0, 0.2):
        first, _ = configs(learning_rate=0.1, physics_learning_rate=rate)
        assert first.learning_rate.tolist() == pytest.approx([1.5 * 0.1])
        assert first.physics_learning_rate.tolist() == pytest.approx([1.5 * rate])


def test_theta_is_held_in_the_second_phase():
    _, second = configs(physics_learning_rate=0.5)
    assert second.physics_learning_rate.tolist() == [0.0]


@pytest.mark.parametrize(
    "settings", [{"optimizer": "adam"}, {"rho": 0.0}, {"refine_rho": None}], ids=str
)
def test_there_is_no_second_phase(settings):
    first, second = configs(**settings)
    assert second is None
    assert (first.rho is None) == ("refine_rho" not in settings)


def test_a_refinement_may_use_sam_too():
    _, second = configs(refine_rho=0.02, perturbation="global", perturb="all")
    assert second.rho.tolist() == pytest.approx([0.02])
    assert (second.perturbation, second.perturb) == ("global", "nn")


def test_every_restart_has_its_own_values():
    first, second = configs(n_members=3, l2=0.1, functional_norm=0.2, orthogonality=0.3)
    assert first.rho.shape == first.learning_rate.shape == (3,)
    assert isinstance(first.penalties, Penalties)
    for penalty, value in (("l2", 0.1), ("functional_norm", 0.2), ("orthogonality", 0.3)):
        assert getattr(first.penalties, penalty).tolist() == pytest.approx([value] * 3)
        assert getattr(second.penalties, penalty).tolist() == pytest.approx([value])


def test_early_stopping_gives_both_phases_a_patience():
    first, second = configs(validates=True, early_stopping=True, n_iter_no_change=4, tol=0.1)
    assert first.keep_best == "each"
    assert (first.patience.n_epochs, first.patience.tolerance) == (4, 0.1)
    assert second.patience == first.patience
    with pytest.raises(dataclasses.FrozenInstanceError):  # so that the phases can share it
        first.patience.tolerance = 0.2
    assert second.keep_best is None


def test_without_held_out_rows_the_last_parameters_are_kept():
    first, _ = configs()
    assert first.keep_best is None


def test_stages_share_the_epochs_of_the_first_phase():
    whole, refinement = configs(max_epochs=10)
    part, same = configs(max_epochs=10, n_stages=3)
    assert (whole.schedule.n_epochs, part.schedule.n_epochs) == (10, 4)
    assert refinement.schedule.n_epochs == same.schedule.n_epochs == 10
