"""LatentODE: what a user states about a differential equation seen through images."""

from __future__ import annotations

from numbers import Integral

from sklearn.utils._param_validation import Interval
from torch import nn

from skhybrid.model.ode import ODE

# Steps in the windows to begin with.
FIRST_WINDOWS = (2, 5)


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

    reads_images = True
    # Parameters that ODE has in addition.
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
