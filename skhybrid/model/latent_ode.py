"""LatentODE: parameters of a differential equation behind an encoder and a decoder."""

from __future__ import annotations

from numbers import Integral

from sklearn.utils._param_validation import Interval
from torch import nn

from skhybrid.model.ode import ODE

# Steps of the first windows in training.
FIRST_WINDOWS = (2, 5)


class LatentODE(ODE):
    """A hybrid differential equation behind an encoder and a decoder.

    A sample is a sequence of images. An encoder finds the state of the physics in the last few
    images, a solver integrates the hybrid right-hand side f_S(t, x; θ) + f_N(x; φ), and a decoder
    maps the later states to images. Training fits all three networks together with θ.
    Sharpness-aware minimisation perturbs f_N alone, because a flat encoder does not distinguish
    states. Pass it as ``structure`` to :class:`~skhybrid.HybridRegressor`, whose ``nn`` is f_N.

    X holds the images up to time 0, ``dt`` apart, of shape ``(n, n_context, *image_shape)``. They
    must determine the state: a velocity needs two images. y holds the images after time 0, of shape
    ``(n, n_times, *image_shape)``.

    Parameters
    ----------
    encoder : int, sequence of int or torch.nn.Module, default=(64, 64)
        Hidden sizes of a multilayer perceptron, which corrects a first guess of the state from the
        slow features of the images in X. Or a module from standardised images, of shape
        ``(n, n_context, *image_shape)``, to states, of shape (n, n_states), without a first guess.
    decoder : int, sequence of int or torch.nn.Module, default=(64, 64)
        Hidden sizes of a multilayer perceptron from a state to all pixels of an image. Or a module
        from (n, n_states) to ``(n, *image_shape)``. Its images are standardised.
    n_states : int
        Number of states of the physics.
    window : int, sequence of int, "auto" or None, default="auto"
        As for :class:`ODE`. "auto" is 2, then 5, then 10 steps, or all steps if there are fewer:
        short windows find the states, long ones the parameters.
    continuity : float, default=1.0
        Weight of the mean squared gap between the end of a window and the state that the encoder
        finds in the images of that time. The unit is the standard deviation of the states in the
        minibatch.
    substeps : int, default=1
        Steps of a fixed-step method between two images. "auto" is not possible: before training
        there are no states with which to compare steps. A
        :class:`~skhybrid.exceptions.SolverWarning` says if they are too long after the fit.
    dt, times, method, join, corrects, rtol, atol, state_names, adjoint
        As for :class:`ODE`.

    Notes
    -----
    Slow features [1]_ are the linear combinations of pixels, all of equal variance, that change
    least from one image to the next. They show where an object is in an image, over distances
    longer than its size. A perceptron that reads pixels begins with states that jump to and fro
    while the object moves on, and training does not repair this. Each feature is divided by how
    fast it changes. The first guess is a linear function of the features that change less from one
    image to the next than they vary. It has a mean square of one, and its changes agree best with
    the physics for any values of the parameters. States at an earlier or a later time agree as
    well; so the guess prefers states that the last image shows, such as positions, and states that
    it hides, such as velocities, to mixtures of both. Write the physics in units in which states
    are about one.

    Each state has a unit, which is learned ten times as fast as the networks. The physics sees the
    state; encoder and decoder see it in its unit. So the size of the states can follow the physics
    while the networks stay the same. In a pendulum, for example, the amplitude and omega determine
    the period together, and states that are too large make omega too high. Nothing but the
    nonlinearity of the physics determines this size.

    Training finds a coordinate system of the states in which the physics holds. It may not be
    unique: a state may have either sign, for example. A network that adds to all rates of change
    can turn one coordinate system into another, and change θ with it. So add your knowledge. For
    example, ``corrects=[1]`` says that the rate of the first state, an angle, is that of the
    physics, the velocity, and ``nn_features`` names the states on which friction depends. θ starts
    at the given values, because there are no states for a least-squares fit.

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
    >>> model = HybridRegressor(film.physics, nn=8, structure=structure, max_epochs=15)
    >>> model.fit(film.data, film.target).predict(film.data).shape
    (10, 12, 8, 8)
    """

    _parameter_constraints: dict = {
        **ODE._parameter_constraints,
        "encoder": [Interval(Integral, 1, None, closed="left"), list, tuple, nn.Module],
        "decoder": [Interval(Integral, 1, None, closed="left"), list, tuple, nn.Module],
        "n_states": [Interval(Integral, 1, None, closed="left")],
        "substeps": [Interval(Integral, 1, None, closed="left")],
    }
    for _name in ("observe", "initial_state", "state_guess", "n_initial", "inputs", "correct"):
        del _parameter_constraints[_name]
    del _parameter_constraints["input_names"], _parameter_constraints["corrected"]
    del _parameter_constraints["n_free_states"], _name

    reads_images = True
    # Constants in place of parameters that only ODE has.
    observe = None
    initial_state = "given"
    inputs = None
    correct = "rate"
    corrected = None
    state_guess = None
    n_initial = 0
    n_free_states = 0
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
        join="auto",
        rtol=1e-5,
        atol=1e-7,
        continuity=1.0,
        corrects=None,
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
        self.corrects = corrects
        self.state_names = state_names
        self.adjoint = adjoint

    def windows(self) -> tuple[int | str | None, ...]:
        """Return the windows to train with, in this order."""
        return (*FIRST_WINDOWS, "auto") if self.window == "auto" else super().windows()
