"""All simulated trajectories: layout, times, noise, accuracy and physics for the estimator."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skhybrid import Physics, datasets

# For each generator: shape of a state.
GENERATORS = {
    "make_damped_wave": (2, 64, 64),
    "make_duffing": (2,),
    "make_lotka_volterra": (2,),
    "make_pendulum": (2,),
    "make_reaction_diffusion": (2, 32, 32),
}
BUNCH_KEYS = {
    "DESCR",
    "data",
    "dt",
    "feature_names",
    "frame",
    "missing",
    "noise_free",
    "noise_free_data",
    "physics",
    "physics_params",
    "target",
    "target_names",
    "times",
}

each_generator = pytest.mark.parametrize("name", GENERATORS)


def make(name, **options):
    small = {"n_trajectories": 2, "n_times": 3, "random_state": 0}
    return getattr(datasets, name)(**small | options)


def runge_kutta(rate, t, state, dt, n_steps):
    step = dt / n_steps
    for _ in range(n_steps):
        k1 = rate(t, state)
        k2 = rate(t + step / 2, state + step / 2 * k1)
        k3 = rate(t + step / 2, state + step / 2 * k2)
        k4 = rate(t + step, state + step * k3)
        state = state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        t = t + step
    return state


@each_generator
def test_layout(name):
    bunch = make(name)
    shape = GENERATORS[name]
    assert set(bunch) == BUNCH_KEYS
    assert bunch.data.shape == bunch.noise_free_data.shape == (2, *shape)
    assert bunch.target.shape == bunch.noise_free.shape == (2, 3, *shape)
    assert bunch.data.dtype == bunch.target.dtype == bunch.noise_free.dtype == np.float64
    assert_allclose(bunch.times, [bunch.dt, 2 * bunch.dt, 3 * bunch.dt], rtol=1e-14)
    assert bunch.feature_names == bunch.target_names
    assert len(bunch.feature_names) == shape[0]
    assert all(feature in bunch.DESCR for feature in bunch.feature_names)
    assert "simulated" in bunch.DESCR
    assert "initial state" in bunch.DESCR
    data, target = make(name, return_X_y=True)
    assert_array_equal(data, bunch.data)
    assert_array_equal(target, bunch.target)


@each_generator
def test_targets_are_where_physics_and_missing_part_lead(name):
    bunch = make(name)

    def rate(t, state):
        return bunch.physics(t, state, **bunch.physics_params) + bunch.missing(t, state)

    state = torch.tensor(bunch.data)
    for k, t in enumerate([0.0, *bunch.times[:-1]]):
        got = runge_kutta(rate, t, state, bunch.dt, 32)
        state = torch.tensor(bunch.target[:, k])
        assert_allclose(got, state, rtol=1e-6, atol=1e-8 * state.abs().max())


@each_generator
def test_missing_part_matters(name):
    bunch = make(name)
    state = torch.tensor(bunch.target[:, -1])
    known = bunch.physics(0.0, state, **bunch.physics_params)
    assert bunch.missing(0.0, state).norm() > 0.01 * known.norm()


@each_generator
def test_reproducible(name):
    first, again = (make(name, noise=0.1) for _ in range(2))
    assert_array_equal(first.data, again.data)
    assert_array_equal(first.target, again.target)
    other = make(name, noise=0.1, random_state=1)
    assert not np.allclose(first.noise_free_data, other.noise_free_data)
    more = make(name, n_trajectories=1, random_state=np.random.RandomState(0))
    assert more.data.shape == (1, *GENERATORS[name])


@each_generator
def test_noise_has_the_given_standard_deviation_and_leaves_the_truth_alone(name):
    n = max(1, 800 // np.prod(GENERATORS[name]))
    silent, noisy = (make(name, n_trajectories=n, n_times=1, noise=noise) for noise in (0.0, 0.3))
    assert_array_equal(silent.target, silent.noise_free)
    assert_array_equal(silent.data, silent.noise_free_data)
    assert not np.shares_memory(silent.target, silent.noise_free)
    assert_array_equal(noisy.noise_free, silent.noise_free)
    assert_array_equal(noisy.noise_free_data, silent.noise_free_data)
    noise = noisy.target - noisy.noise_free
    assert noise.std() == pytest.approx(0.3, rel=0.1)
    assert np.mean(np.abs(noise) < 0.3) == pytest.approx(0.683, abs=0.05)
    assert abs(noise.mean()) < 0.05
    assert np.all(noisy.data != noisy.noise_free_data)
    assert np.abs(noisy.data - noisy.noise_free_data).max() < 0.3 * 6


@each_generator
def test_noise_of_each_quantity(name):
    n_trajectories = max(1, 400 // np.prod(GENERATORS[name]))
    bunch = make(name, n_trajectories=n_trajectories, n_times=1, noise=[0.0, 2.0])
    first, second = np.moveaxis(bunch.target - bunch.noise_free, 2, 0)
    assert_array_equal(first, 0.0)
    assert second.std() == pytest.approx(2.0, rel=0.2)
    assert_array_equal(bunch.data[:, 0], bunch.noise_free_data[:, 0])


@each_generator
def test_physics_is_ready_for_the_estimator(name):
    bunch = make(name)
    wrapped = Physics(bunch.physics)
    assert list(wrapped.inputs) == ["t", "state"]
    assert set(wrapped.params) == set(bunch.physics_params)
    # The initial value is neither the true value nor orders of magnitude away.
    for key, truth in bunch.physics_params.items():
        ratio = float(wrapped.params[key].init) / truth
        assert 1.05 < max(ratio, 1 / ratio) < 10
    copy = pickle.loads(pickle.dumps(bunch))
    state = torch.tensor(bunch.data)
    assert_array_equal(copy.physics(0.0, state), bunch.physics(0.0, state))
    assert_array_equal(copy.missing(0.0, state), bunch.missing(0.0, state))


@each_generator
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_physics_can_be_vmapped_over_members_and_differentiated(name, dtype):
    bunch = make(name)
    names = list(bunch.physics_params)
    state = torch.tensor(bunch.data, dtype=dtype, requires_grad=True)
    members = torch.tensor([list(bunch.physics_params.values())] * 3, dtype=dtype)
    members = (members * torch.tensor([[1.0], [0.5], [2.0]], dtype=dtype)).requires_grad_()

    def rate(values):
        return bunch.physics(0.3, state, **dict(zip(names, values, strict=True)))

    got = torch.vmap(rate)(members)
    assert got.dtype == dtype
    for one, values in zip(got, members, strict=True):
        assert_allclose(one.detach(), rate(values).detach(), rtol=1e-5)
    gradients = torch.autograd.grad((got**2).sum(), (members, state))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0].abs().min() > 0


@each_generator
def test_physics_takes_any_leading_shape_and_leaves_its_input_alone(name):
    bunch = make(name)
    state = torch.tensor(bunch.target)
    before = state.clone()
    got = bunch.physics(0.0, state)
    assert got.shape == state.shape
    assert_array_equal(state, before)
    assert_allclose(got[1, 2], bunch.physics(0.0, state[1, 2]), rtol=1e-12)


@each_generator
def test_wrong_noise_is_named_with_the_state_components(name):
    with pytest.raises(ValueError, match="noise must be one number") as raised:
        make(name, noise=[0.1])
    assert "[0.1]" in str(raised.value)
    assert ", ".join(make(name).feature_names) in str(raised.value)
