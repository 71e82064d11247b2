"""A differential equation for states that only images, or other fields, tell of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral

from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from skhybrid.exceptions import NetworkError
from skhybrid.networks import as_function
from skhybrid.structures.dynamics import Dynamics
from skhybrid.structures.hybrid import Weights
from skhybrid.structures.layout import RateScales
from skhybrid.structures.ode import ODE
from skhybrid.structures.windows import Windows

# Steps in the windows to begin with.
FIRST_WINDOWS = (2, 5)
# Added to the spread of the states, in whose units gaps are measured.
LEAST_SPREAD = 1e-3


class LatentODE(ODE):
    """A hybrid differential equation behind an encoder and a decoder.

    Images are samples over time. An encoder finds the state of the physics in the last few images,
    the hybrid right-hand side f_S(t, x; θ) + f_N(x; φ) carries it on, and a decoder draws the
    images of the states to come. All three are trained together with θ; sharpness-aware
    minimisation perturbs f_N alone, since a flat encoder tells no states apart. Passed as
    ``structure`` to :class:`~skhybrid.HybridRegressor`, whose ``nn`` is f_N.

    X holds the images up to time 0, of shape ``(n, n_context, *image_shape)``, as many as it takes
    to tell a state (a velocity takes two), ``dt`` apart. y holds the images that follow, of shape
    ``(n, n_times, *image_shape)``.

    Parameters
    ----------
    encoder : int, sequence of int or torch.nn.Module, default=(64, 64)
        Hidden sizes of a multilayer perceptron from the slow features of the images in X to what a
        first guess of the state lacks; or a module from ``(n, n_context, *image_shape)`` to
        (n, n_states), which reads standardised images and finds the state by itself.
    decoder : int, sequence of int or torch.nn.Module, default=(64, 64)
        Hidden sizes of a multilayer perceptron from a state to all pixels of an image, or a module
        from (n, n_states) to ``(n, *image_shape)``. It answers with standardised images.
    n_states : int
        Number of states of the physics.
    window : int, sequence of int, "auto" or None, default="auto"
        As for :class:`ODE`. "auto" is 2, 5 and 10 steps, or as many as there are, one after the
        other: short windows find the states, long ones the parameters.
    continuity : float, default=1.0
        Weight of the mean squared gap, in units of the states' spread in the minibatch, between
        the end of a window and what the encoder finds in the images of that time.
    dt, times, method, substeps, join, rtol, atol, state_names, adjoint
        As for :class:`ODE`.

    Notes
    -----
    Slow features [1]_ are the linear combinations of pixels that change least from one image to the
    next, among those of equal variance. They tell where in an image something is, over longer
    distances than its size; a perceptron that reads pixels begins with states that jump to and fro
    while something moves on, and stays there. Each feature is divided by how fast it changes. The
    first guess is a linear function of as many of the slowest as there are states, of a mean square
    of one, and such that it changes most nearly as the physics says with any parameters. Write the
    physics in units in which states are of about one.

    What is learned of the states is a coordinate system in which the physics holds. Where another
    one does as well, as with a state's sign, that of a fit may be either. A network that adds to
    all rates of change can turn one into another, and θ with it. Say what you know: that the rate
    of an angle is the velocity, for example, with ``join=lambda t, state, physics, nn: physics(t,
    state) + nn(t, state) * state.new_tensor([0.0, 1.0])``, and with ``nn_features`` what friction
    depends on. θ starts at the given values, as there are no states to which least squares could be
    fitted.

    References
    ----------
    .. [1] L. Wiskott, T. J. Sejnowski, "Slow feature analysis: unsupervised learning of
       invariances", Neural Computation 14, 2002.

    Related are Y. Yin et al., "Augmenting physical models with deep networks for complex dynamics
    forecasting", ICLR 2021, and N. Takeishi, A. Kalousis, "Physics-integrated variational
    autoencoders for robust and interpretable generative modeling", NeurIPS 2021.

    Examples
    --------
    >>> from skhybrid import HybridRegressor, LatentODE
    >>> from skhybrid.datasets import make_pendulum_images
    >>> film = make_pendulum_images(10, n_times=12, size=8, random_state=0)
    >>> structure = LatentODE(encoder=16, decoder=16, n_states=2, dt=film.dt, window=5)
    >>> model = HybridRegressor(film.physics, nn=8, structure=structure, max_epochs=2)
    >>> model.fit(film.data, film.target).predict(film.data).shape
    (10, 12, 8, 8)
    """

    _parameter_constraints: dict = {
        **ODE._parameter_constraints,
        "encoder": [Interval(Integral, 1, None, closed="left"), list, tuple, nn.Module],
        "decoder": [Interval(Integral, 1, None, closed="left"), list, tuple, nn.Module],
        "n_states": [Interval(Integral, 1, None, closed="left")],
    }
    for _name in ("observe", "initial_state", "state_guess", "n_initial", "inputs", "correct"):
        del _parameter_constraints[_name]
    del _parameter_constraints["input_names"], _parameter_constraints["corrected"], _name

    # What an ODE may have and this one has not.
    observe = None
    initial_state = "given"
    inputs = None
    correct = "rate"
    corrected = None
    state_guess = None
    n_initial = 0
    input_names = None

    def __init__(
        self,
        encoder=(64, 64),
        decoder=(64, 64),
        *,
        n_states=None,
        dt=None,
        times=None,
        method="rk4",
        substeps=1,
        window="auto",
        join="add",
        rtol=1e-5,
        atol=1e-7,
        continuity=1.0,
        state_names=None,
        adjoint=False,
    ):
        self.encoder = encoder
        self.decoder = decoder
        self.n_states = n_states
        self.dt = dt
        self.times = times
        self.method = method
        self.substeps = substeps
        self.window = window
        self.join = join
        self.rtol = rtol
        self.atol = atol
        self.continuity = continuity
        self.state_names = state_names
        self.adjoint = adjoint

    def windows(self) -> tuple[int | str | None, ...]:
        """Return the windows to train with, one after the other."""
        return (*FIRST_WINDOWS, "auto") if self.window == "auto" else super().windows()


@dataclass
class LatentScales(RateScales):
    """Scales of a differential equation behind an encoder and a decoder.

    Attributes
    ----------
    slow_offset : Tensor of shape (n_slow,)
    slow_factor : Tensor of shape (n_pixels, n_slow)
        Slow features = offset + standardised image · factor.
    first_guess : Tensor of shape (n_context * n_slow, n_states)
        What the encoder adds to: states as a linear function of slow features.
    """

    slow_offset: Tensor
    slow_factor: Tensor
    first_guess: Tensor


class LatentNetwork(nn.Module):
    """The three networks that are trained together.

    Parameters
    ----------
    rate, encoder, decoder : torch.nn.Module
    """

    def __init__(self, rate: nn.Module, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.rate = rate
        self.encoder = encoder
        self.decoder = decoder

    def part(self, name: str, weights: Weights | None) -> Callable[[Tensor], Tensor]:
        """Return one of the networks as a function of its inputs alone."""
        if weights is not None:
            prefix = f"{name}."
            weights = {
                key.removeprefix(prefix): value
                for key, value in weights.items()
                if key.startswith(prefix)
            }
        return as_function(getattr(self, name), weights)


class LatentDynamics(Dynamics):
    """Windows that start with images in, images out; the parameters are those of Dynamics."""

    @property
    def n_encoder_inputs(self) -> int:
        """Number of slow features of the images from which a state is found."""
        return len(self.scales.first_guess)

    @property
    def foldable(self) -> bool:
        """Whether members may be evaluated as one batch: not if windows are compared in it."""
        return False

    def at_observed_states(self) -> Dynamics:
        """Return the same model."""
        return self

    def rate_function(self, weights: Weights | None) -> Callable[[Tensor], Tensor]:
        """Return the network of the right-hand side as a function of its inputs alone."""
        return self.network.part("rate", weights)

    def first_states(
        self, x: Windows, table: Tensor | None, weights: Weights | None = None
    ) -> Tensor:
        """Return what the encoder finds in the first images of every window."""
        return self._encoded(x.start, weights)

    def tie(
        self, x: Windows, last: Tensor, table: Tensor | None, weights: Weights | None
    ) -> Tensor | float:
        """Return the penalty on windows that do not end at what the encoder finds there."""
        if x.end is None:
            return 0.0
        found = self._encoded(x.end, weights)
        spread = found.std(dim=0, correction=0) + LEAST_SPREAD
        gaps = (last - found) / spread * (x.following >= 0)[:, None]
        return self.structure.continuity * gaps.square().mean()

    def observed(
        self,
        x: Windows,
        states: Tensor,
        values: Mapping[str, Tensor],
        network: Callable,
        weights: Weights | None = None,
    ) -> Tensor:
        """Return the images of the states."""
        return self._decoded(states, weights)

    def join(self, x: Windows, values: Mapping[str, Tensor], network: Callable) -> Tensor:
        """Return the images for values of the physics parameters and a bound network."""
        first = self._encoded(x.start, None)
        states = self.rollout(x, first, self.bind_physics(values), network, values.values())
        return self._decoded(states, None)

    def _encoded(self, images: Tensor, weights: Weights | None) -> Tensor:
        if self.network is None:
            return images.new_zeros((len(images), *self.layout.state_shape))
        standard = (images - self.scales.target_mean) / self.scales.target_scale
        encode = self.network.part("encoder", weights)
        if not self._is_own("encoder"):
            states = encode(standard)
        else:
            scales = self.scales
            slow = scales.slow_offset + standard.flatten(2) @ scales.slow_factor
            slow = slow.flatten(1)
            states = encode(slow) + slow @ scales.first_guess
        expected = (len(images), *self.layout.state_shape)
        if states.shape != expected:
            raise NetworkError(
                f"encoder must return states of shape {expected} for images of shape "
                f"{tuple(images.shape)}; it returned {tuple(states.shape)}."
            )
        return states

    def _decoded(self, states: Tensor, weights: Weights | None) -> Tensor:
        n_windows, n_times = states.shape[:2]
        if self.network is None:
            return states.new_zeros((n_windows, n_times, *self.target_shape))
        images = self.network.part("decoder", weights)(states.flatten(0, 1))
        if self._is_own("decoder"):
            images = images.reshape(-1, *self.target_shape)
        expected = (n_windows * n_times, *self.target_shape)
        if images.shape != expected:
            raise NetworkError(
                f"decoder must return images of shape {expected} for states of shape "
                f"{(n_windows * n_times, *self.layout.state_shape)}; it returned "
                f"{tuple(images.shape)}."
            )
        images = self.scales.target_mean + self.scales.target_scale * images
        return images.reshape(n_windows, n_times, *self.target_shape)

    def _is_own(self, name: str) -> bool:
        """Whether one of the networks is a multilayer perceptron of ours, which reads columns."""
        return not isinstance(getattr(self.structure, name), nn.Module)
