"""Images over time: an encoder finds the states, a decoder returns images."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits
from torch import nn
from torch.testing import assert_close

from skhybrid import HybridRegressor, LatentODE
from skhybrid.data import latent_state_guesses
from skhybrid.datasets import make_pendulum_images
from skhybrid.exceptions import NetworkError
from skhybrid.model.latent_dynamics import UNIT_RATE_FACTOR, LatentNetwork
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


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Let small matrix products use one thread: more threads wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def film():
    return make_pendulum_images(N, n_context=CONTEXT, n_times=TIMES, size=SIZE, random_state=0)


def make_model(film, *, window=3, encoder=8, decoder=8, **settings) -> HybridRegressor:
    structure = LatentODE(encoder, decoder, n_states=2, dt=film.dt, window=window)
    settings = {"nn": 4, "max_epochs": 1, "refine_rho": None, "random_state": 0} | settings
    return HybridRegressor(film.physics, structure=structure, **settings)


@pytest.fixture(scope="module")
def fitted(film):
    model = make_model(film, window=4, max_epochs=40, learning_rate=0.02)
    return model.fit(film.data, film.target)


@pytest.fixture
def rough_guess(monkeypatch):
    """Shorten the optimisation of the first guess, where the test does not depend on it."""
    monkeypatch.setattr(latent_state_guesses, "GUESS_ITERATIONS", 5)


# Fits


def test_training_lowers_the_loss(fitted):
    assert fitted.loss_curve_[-1] < 0.7 * fitted.loss_curve_[0]
    assert fitted.physics_params_["omega2"] != 1.0


def test_predictions_have_the_times_of_the_training(film, fitted):
    prediction = fitted.predict(film.data[:5])
    assert prediction.shape == (5, TIMES, SIZE, SIZE)
    assert np.square(prediction - film.target[:5]).mean() < film.target.var()


def test_predictions_may_go_beyond_the_times_of_the_training(film, fitted):
    times = film.dt * np.arange(1, 2 * TIMES + 1)
    further = fitted.predict(film.data, times=times)
    assert further.shape == (N, 2 * TIMES, SIZE, SIZE)
    np.testing.assert_allclose(further[:, :TIMES], fitted.predict(film.data), atol=1e-5)


@pytest.mark.usefixtures("rough_guess")
@pytest.mark.parametrize("optimizer", ["sam", "adam"])
def test_encoder_and_decoder_may_be_modules(film, optimizer):
    model = make_model(film, encoder=Encoder(), decoder=Decoder(), optimizer=optimizer)
    model.fit(film.data, film.target)
    assert isinstance(model.module_.encoder, Encoder)
    assert isinstance(model.module_.decoder, Decoder)
    assert model.predict(film.data).shape == film.target.shape


@pytest.mark.usefixtures("rough_guess")
@pytest.mark.parametrize(
    ("coders", "message"),
    [
        ({"encoder": Encoder(n_states=3)}, r"^encoder must return states of shape \(\d+, 2\)"),
        ({"decoder": Decoder(size=5)}, r"^decoder must return images of shape \(\d+, 6, 6\)"),
    ],
    ids=["encoder", "decoder"],
)
def test_the_error_names_the_network_with_the_wrong_shape(film, coders, message):
    with pytest.raises(NetworkError, match=message):
        make_model(film, **coders).fit(film.data, film.target)


@pytest.mark.usefixtures("rough_guess")
def test_nn_features_restricts_the_network_of_the_rates(film):
    model = make_model(film, nn_features=[1]).fit(film.data, film.target)
    assert model.module_.rate[0].in_features == 1
    _, rates = model.predict_rates(np.array([[-1.0, 0.5], [1.0, 0.5]]))
    np.testing.assert_array_equal(rates[0], rates[1])


@pytest.mark.usefixtures("rough_guess")
def test_the_network_changes_only_the_named_rates(film):
    model = make_model(film).set_params(
        structure__corrects=["velocity"], structure__state_names=["angle", "velocity"]
    )
    model.fit(film.data, film.target)
    assert model.module_.rate[-1].out_features == 1
    _, rates = model.predict_rates(np.array([[-1.0, 0.5], [1.0, 0.5]]))
    assert not rates[:, 0].any()
    assert rates[:, 1].all()


@pytest.mark.usefixtures("rough_guess")
def test_missing_images_are_left_out(film):
    target = film.target.copy()
    target[0, 3] = np.nan
    model = make_model(film, missing_targets="mask").fit(film.data, target)
    assert np.isfinite(model.loss_)
    assert np.isfinite(model.predict(film.data)).all()


# The three networks


def test_sharpness_perturbs_the_rates_alone(fitted):
    network = fitted.module_
    members = Members(network, [dict(network.named_parameters())], [{}])
    roles = {block.name: block.role for block in members.blocks}
    assert all((role == CODER) != name.startswith("rate.") for name, role in roles.items())
    before = members.flat.clone()
    members.gradient.fill_(1.0)
    SAM(members, torch.tensor([0.1]), "layer", "nn").ascend()
    moved = {block.role for block in members.blocks if (members.flat != before)[block.start].item()}
    assert CODER not in moved
    assert WEIGHT in moved
    assert moved <= {WEIGHT, BIAS}


def test_each_network_gets_its_own_weights():
    network = LatentNetwork(nn.Linear(2, 2), nn.Linear(3, 2), nn.Linear(2, 4), n_states=2)
    weights = {name: torch.ones_like(weight) for name, weight in network.named_parameters()}
    states = torch.tensor([[1.0, 2.0]])
    assert_close(network.part("rate", weights)(states), torch.full((1, 2), 4.0))
    assert_close(network.part("decoder", weights)(states), torch.full((1, 4), 4.0))
    assert_close(network.part("decoder", None)(states), network.decoder(states))
    coders = [name for name in weights if LatentNetwork.is_coder(name)]
    networks = ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"]
    assert coders == ["log_unit", *networks]


# Units of the states


def test_units_change_the_states_of_the_physics_but_not_their_images(film, fitted):
    model = fitted._fitted.hybrid
    context = torch.tensor(film.data, dtype=torch.float32)
    other = copy.deepcopy(model.network)
    with torch.no_grad():
        other.log_unit += torch.tensor([0.05, -0.1])
        factor = other.units(None) / model.network.units(None)
        states = [each._encoded(context, None) for each in (model, model.with_network(other))]
        images = model._decoded(states[0][:, None], None)
        same = model.with_network(other)._decoded(states[1][:, None], None)
    assert_close(factor, torch.tensor([0.05, -0.1]).mul(UNIT_RATE_FACTOR).exp())
    assert_close(states[1], states[0] * factor)
    assert_close(same, images)


def test_units_are_learned(fitted):
    assert (fitted.module_.units(None) - 1.0).abs().min() > 0.01
