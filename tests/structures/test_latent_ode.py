"""Images over time: states that an encoder finds, physics carries on and a decoder draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skhybrid import HybridRegressor, LatentODE, Physics
from skhybrid.data.latent_state_guesses import guess_states
from skhybrid.data.slow_features import slow_features
from skhybrid.datasets import make_pendulum_images
from skhybrid.exceptions import NetworkError
from skhybrid.training.members import BIAS, CODER, WEIGHT, Members
from skhybrid.training.sam import SAM

N, CONTEXT, TIMES, SIZE = 12, 3, 8, 6


class Encoder(nn.Module):
    """Reads images, of shape (n, n_context, size, size)."""

    def __init__(self, n_states=2):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(CONTEXT, 2, 3), nn.SiLU(), nn.Flatten())
        self.last = nn.Linear(2 * (SIZE - 2) ** 2, n_states)

    def forward(self, images):
        return self.last(self.layers(images))


class Decoder(nn.Module):
    """Answers with images, of shape (n, size, size)."""

    def __init__(self, size=SIZE):
        super().__init__()
        self.size = size
        self.layer = nn.Linear(2, size**2)

    def forward(self, states):
        return self.layer(states).reshape(-1, self.size, self.size)


@pytest.fixture(scope="module")
def film():
    return make_pendulum_images(N, n_context=CONTEXT, n_times=TIMES, size=SIZE, random_state=0)


def make_model(film, *, window=3, encoder=8, decoder=8, **settings):
    structure = LatentODE(encoder, decoder, n_states=2, dt=film.dt, window=window)
    settings = {"nn": 4, "max_epochs": 1, "refine_rho": None, "random_state": 0} | settings
    return HybridRegressor(film.physics, structure=structure, **settings)


@pytest.fixture(scope="module")
def fitted(film):
    model = make_model(film, window=4, max_epochs=40, learning_rate=0.02)
    return model.fit(film.data, film.target)


def test_training_lowers_the_loss(fitted):
    assert fitted.loss_curve_[-1] < 0.7 * fitted.loss_curve_[0]
    assert fitted.physics_params_["omega2"] != 1.0


def test_predicts_images_of_the_times_of_the_training(film, fitted):
    prediction = fitted.predict(film.data[:5])
    assert prediction.shape == (5, TIMES, SIZE, SIZE)
    assert np.square(prediction - film.target[:5]).mean() < film.target.var()


def test_predicts_beyond_the_times_of_the_training(film, fitted):
    times = film.dt * np.arange(1, 2 * TIMES + 1)
    further = fitted.predict(film.data, times=times)
    assert further.shape == (N, 2 * TIMES, SIZE, SIZE)
    np.testing.assert_allclose(further[:, :TIMES], fitted.predict(film.data), atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sam", "adam"])
def test_takes_modules_of_ones_own(film, optimizer):
    model = make_model(film, encoder=Encoder(), decoder=Decoder(), optimizer=optimizer)
    model.fit(film.data, film.target)
    assert isinstance(model.module_.encoder, Encoder)
    assert isinstance(model.module_.decoder, Decoder)
    assert model.predict(film.data).shape == film.target.shape


@pytest.mark.parametrize(
    ("coders", "message"),
    [
        ({"encoder": Encoder(n_states=3)}, r"^encoder must return states of shape \(\d+, 2\)"),
        ({"decoder": Decoder(size=5)}, r"^decoder must return images of shape \(\d+, 6, 6\)"),
    ],
)
def test_says_which_network_answers_in_the_wrong_shape(film, coders, message):
    with pytest.raises(NetworkError, match=message):
        make_model(film, **coders).fit(film.data, film.target)


@pytest.mark.parametrize(
    ("n", "crop"), [(N - 1, slice(None)), (N, slice(1, None))], ids=["sequences", "pixels"]
)
def test_images_of_x_and_y_must_go_together(film, n, crop):
    with pytest.raises(ValueError, match="X must hold the images up to time 0"):
        make_model(film).fit(film.data[:n, ..., crop], film.target)


def test_sharpness_perturbs_the_rates_alone(fitted):
    network = fitted.module_
    members = Members(network, [dict(network.named_parameters())], [{}])
    kinds = {block.name: block.kind for block in members.blocks}
    assert all((kind == CODER) != name.startswith("rate.") for name, kind in kinds.items())
    before = members.flat.clone()
    members.gradient.fill_(1.0)
    SAM(members, torch.tensor([0.1]), "layer", "nn").ascend()
    moved = {block.kind for block in members.blocks if (members.flat != before)[block.start].item()}
    assert CODER not in moved
    assert WEIGHT in moved
    assert moved <= {WEIGHT, BIAS}


def test_nn_features_restricts_the_network_of_the_rates(film):
    model = make_model(film, nn_features=[1]).fit(film.data, film.target)
    assert model.module_.rate[0].in_features == 1
    _, rates = model.predict_rates(np.array([[-1.0, 0.5], [1.0, 0.5]]))
    np.testing.assert_array_equal(rates[0], rates[1])


def test_parameters_can_be_set_and_cloned(film):
    structure = LatentODE(encoder=5, n_states=2, dt=0.1)
    assert structure.get_params()["continuity"] == 1.0
    assert "observe" not in structure.get_params()
    copied = clone(structure.set_params(decoder=(3, 3)))
    assert copied.decoder == (3, 3)
    assert copied.windows() == (2, 5, "auto")
    model = clone(make_model(film).set_params(structure__window=[2, 4]))
    assert model.structure.windows() == (2, 4)


def test_images_that_are_missing_are_left_out(film):
    target = film.target.copy()
    target[0, 3] = np.nan
    model = make_model(film, missing_targets="mask").fit(film.data, target)
    assert np.isfinite(model.loss_)
    assert np.isfinite(model.predict(film.data)).all()


def test_slow_features_begin_with_what_changes_slowly():
    rng = np.random.default_rng(0)
    time = np.arange(300)
    slow, fast = np.sin(0.05 * time), np.cos(1.5 * time)
    film = np.stack([fast + slow, fast - slow, 2 * fast], axis=1)[None]
    film = film + 1e-6 * rng.normal(size=film.shape)
    offset, factor = slow_features(film)
    features = offset + film[0] @ factor
    assert abs(np.corrcoef(features[:, 0], slow)[0, 1]) > 0.99
    spread = features.std(axis=0)
    assert spread[0] == pytest.approx(1.0, rel=0.05)
    assert (spread[1:] < 0.2).all()


def test_slow_features_of_images_that_never_change():
    offset, factor = slow_features(np.ones((2, 4, 3, 3)))
    assert factor.shape == (9, 9)
    assert not offset.any()


def oscillator(t, state, *, omega2=1.0):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -omega2 * position], dim=-1)


def test_first_guess_changes_as_the_physics_says():
    step = 0.2
    time = step * np.arange(41)
    phase = np.random.default_rng(0).uniform(0.0, 6.0, (10, 1))
    slow = np.stack([np.cos(time - step + phase), np.cos(time + phase)], axis=2)
    times = np.tile(time[:-1], (10, 1))
    guess = guess_states(slow, times, np.full((10, 40), step), Physics(oscillator), 2, 1)
    states = slow @ guess.numpy()
    rate = (states[:, 2:, 0] - states[:, :-2, 0]) / (2 * step)
    assert np.corrcoef(rate.ravel(), states[:, 1:-1, 1].ravel())[0, 1] > 0.99


def test_first_guess_leaves_physics_that_fails_to_others():
    def failing(t, state, *, omega2=1.0):
        raise RuntimeError

    slow = np.random.default_rng(0).normal(size=(3, 5, 4))
    times, steps = np.zeros((3, 4)), np.ones((3, 4))
    for physics in (None, Physics(failing)):
        assert not guess_states(slow, times, steps, physics, 2, 2).any()
