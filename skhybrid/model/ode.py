"""ODE: what a user states about a differential equation."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints

from skhybrid.model.solvers import ADAPTIVE, IMPLICIT, METHODS


class ODE(BaseEstimator):
    """A hybrid differential equation, dx/dt = f_S(t, x, u; θ) + f_N(x, u; φ).

    Passed as ``structure`` to :class:`~skhybrid.HybridRegressor`, whose physics is then a
    right-hand side: ``f(t, state, *, parameters)``, or ``f(t, state, inputs, *, parameters)`` where
    something drives the system. ``state`` has shape (n, n_states), or (n, n_channels, ...) for
    fields, ``inputs`` has shape (n, n_inputs) and ``t`` has shape (n,).

    Trajectories are the samples. There are two layouts:

    - ``inputs=None``: X holds initial states, of shape (n, n_states) or (n, n_channels, ...), and
      y what follows, of shape (n, n_times, n_states) or (n, n_times, n_channels, ...), without the
      initial state.
    - ``inputs="hold"`` or ``"linear"``: X holds the inputs over time, (n, n_times, n_inputs), and y
      the outputs at the same times, (n, n_times, n_outputs). Trajectories of different lengths are
      given as lists of arrays.

    NaN in y is a value that is missing (set ``missing_targets="mask"``).

    Parameters
    ----------
    dt : float or None, default=None
        Time between two observations. Give this or ``times``.
    times : array-like of shape (n_times,), list of such, str or int, default=None
        Times of the observations, increasing. With ``inputs=None`` the initial state has time 0, or
        the first of ``n_times + 1`` times. A list has the times of each trajectory. A str or int
        names the column of X that holds them: it goes with the trajectories through
        cross-validation, and the physics does not see it among its inputs.
    method : str, default="rk4"
        "euler", "midpoint" or "rk4" take steps of fixed length. The others are torchdiffeq's:
        "dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun" (adaptive), "implicit_adams"
        (fixed steps, not for stiff equations), "bdf" and "radau" (scipy's, for stiff equations; the
        gradient comes from the adjoint equation). They are slower, and fits side by side are then
        trained one by one.
    substeps : int, default=1
        Steps of a method with fixed steps between two observations.
    window : int, sequence of int, "auto" or None, default="auto"
        Steps in the portions into which trajectories are cut for training (multiple shooting [1]_).
        Short ones are several times faster than whole trajectories, and less often end in a local
        minimum [2]_. A sequence trains with each in turn, each for its part of the epochs. None is
        whole trajectories. "auto" is 2, the best for θ on all tasks measured, 5 where first states
        are learned, and 20 where states are not observed.
    observe : callable or None, default=None
        What is measured of a state: ``observe(state)`` or ``observe(state, inputs)`` to a tensor of
        shape (n, n_outputs). Keyword-only arguments name physics parameters, whose values it gets.
        None: the state itself.
    n_states : int or None, default=None
        Number of states. Needed with ``observe`` where X holds inputs.
    initial_state : {"auto", "given", "learned"}, default="auto"
        Whether the first state of a window is the one observed, or is learned. A noisy one biases θ
        (errors in variables). "auto" is "learned" where states are not observed, and where their
        noise, judged by fifth differences in time, is more than a fifth of their spread; otherwise
        "given".
    continuity : float, default=1.0
        Weight of the mean squared gap, in units of the states' spread, between the end of one
        window and the learned first state of the next.
    state_guess : array-like of shape (n_states,) or None, default=None
        Where the estimation of unknown states begins. None is zero, corrected by the smallest
        change with which ``observe`` gives the outputs.
    n_initial : int, default=10
        Number of first outputs from which ``score`` estimates an initial state that is not known;
        they do not count in the score. 0 takes the mean of the training trajectories' initial
        states, as ``predict`` does if it is given nothing else.
    inputs : {"hold", "linear"} or None, default=None
        Whether X holds inputs, and what they do between two times: keep their value (zero-order
        hold), or change linearly.
    join : {"add", "multiply"} or callable, default="add"
        The right-hand side: f_S + f_N, f_S · (1 + f_N), or ``join(t, state, physics, nn)``
        (``join(t, state, inputs, physics, nn)`` with inputs), where ``physics`` and ``nn`` are
        called with the arguments that come before them.
    correct : {"rate", "output"}, default="rate"
        Whether the network adds to the rates, or to what is observed: then it reads the state and
        the inputs of the same time and answers in units of the outputs' spread.
    corrected : sequence of int or None, default=None
        With ``correct="output"``: the outputs that the network adds to. None is all. A network that
        may correct what the physics explains takes it over.
    state_names, input_names : sequence of str or None, default=None
        Names by which ``nn_features`` can say what the network sees; None takes the column names of
        X, or "state_0", "input_0" and so on. The network sees the state and the inputs; name
        "time" in ``nn_features`` to let it see the time.
    rtol, atol : float, default=1e-5, 1e-7
        Tolerances of torchdiffeq's methods, relative and absolute. The defaults are as small as
        single precision allows.
    adjoint : bool, default=False
        Whether torchdiffeq's methods get their gradients from the adjoint equation [3]_, whose
        memory does not grow with the number of steps, in place of the steps taken.

    References
    ----------
    .. [1] H. G. Bock, "Recent advances in parameter identification techniques for O.D.E.", in
       Numerical treatment of inverse problems in differential and integral equations, 1983.
    .. [2] E. M. Turan, J. Jäschke, "Multiple shooting for training neural differential equations on
       time series", IEEE Control Systems Letters 6, 2022.
    .. [3] R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, "Neural ordinary differential
       equations", NeurIPS 2018.

    Examples
    --------
    >>> from skhybrid import HybridRegressor, ODE
    >>> from skhybrid.datasets import make_pendulum
    >>> swings = make_pendulum(random_state=0)
    >>> model = HybridRegressor(swings.physics, nn=None, structure=ODE(dt=swings.dt))
    >>> model = model.fit(swings.data, swings.target)
    >>> model.predict(swings.data).shape
    (25, 40, 2)
    """

    # Whether images tell the states.
    reads_images = False

    _parameter_constraints: dict = {
        "dt": [Interval(Real, 0, None, closed="neither"), None],
        "times": ["array-like", str, Integral, None],
        "method": [StrOptions(set(METHODS))],
        "substeps": [Interval(Integral, 1, None, closed="left")],
        "window": [
            Interval(Integral, 1, None, closed="left"),
            list,
            tuple,
            StrOptions({"auto"}),
            None,
        ],
        "observe": [callable, None],
        "n_states": [Interval(Integral, 1, None, closed="left"), None],
        "initial_state": [StrOptions({"auto", "given", "learned"})],
        "continuity": [Interval(Real, 0, None, closed="left")],
        "state_guess": ["array-like", Real, None],
        "n_initial": [Interval(Integral, 0, None, closed="left")],
        "inputs": [StrOptions({"hold", "linear"}), None],
        "join": [StrOptions({"add", "multiply"}), callable],
        "correct": [StrOptions({"rate", "output"})],
        "corrected": ["array-like", None],
        "state_names": ["array-like", None],
        "input_names": ["array-like", None],
        "rtol": [Interval(Real, 0, None, closed="neither")],
        "atol": [Interval(Real, 0, None, closed="left")],
        "adjoint": ["boolean"],
    }

    def __init__(
        self,
        dt=None,
        times=None,
        method="rk4",
        substeps=1,
        window="auto",
        observe=None,
        n_states=None,
        initial_state="auto",
        inputs=None,
        join="add",
        rtol=1e-5,
        atol=1e-7,
        *,
        continuity=1.0,
        state_guess=None,
        n_initial=10,
        correct="rate",
        corrected=None,
        state_names=None,
        input_names=None,
        adjoint=False,
    ):
        self.dt = dt
        self.times = times
        self.method = method
        self.substeps = substeps
        self.window = window
        self.observe = observe
        self.n_states = n_states
        self.initial_state = initial_state
        self.inputs = inputs
        self.join = join
        self.rtol = rtol
        self.atol = atol
        self.continuity = continuity
        self.state_guess = state_guess
        self.n_initial = n_initial
        self.correct = correct
        self.corrected = corrected
        self.state_names = state_names
        self.input_names = input_names
        self.adjoint = adjoint

    def validate(self) -> None:
        """Raise a ValueError that names the first parameter that cannot be."""
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )
        if (self.dt is None) == (self.times is None):
            given = "neither" if self.dt is None else "both"
            raise ValueError(f"ODE needs dt or times, one of them; it was given {given}.")
        if isinstance(self.times, (str, Integral)) and self.inputs is None:
            raise ValueError(
                f"ODE: times={self.times!r} names a column of X for records over time, but with "
                "inputs=None X holds initial states: give the times themselves, or set "
                "inputs='hold' or 'linear'."
            )
        windows = self.window if isinstance(self.window, (list, tuple)) else ()
        if isinstance(self.window, (list, tuple)) and not (
            windows and all(isinstance(w, Integral) and w > 0 for w in windows)
        ):
            raise ValueError(
                "The 'window' of ODE must be a positive number of steps, several of them, 'auto' "
                f"or None; got {self.window!r}."
            )
        if windows and self.initial_state == "learned":
            raise ValueError(
                f"window={self.window!r} trains with several windows, whose first states differ; "
                "with initial_state='learned' choose one."
            )
        if self.corrected is not None and self.correct != "output":
            raise ValueError(
                f"corrected={self.corrected!r} chooses outputs, and is for correct='output'. What "
                "the network adds to rates is chosen by join."
            )
        if self.adjoint and self.method not in (*ADAPTIVE, *IMPLICIT):
            raise ValueError(
                f"adjoint=True is for torchdiffeq's methods; method={self.method!r} takes fixed "
                f"steps. Choose one of {', '.join((*ADAPTIVE, *IMPLICIT))}, or adjoint=False."
            )

    def windows(self) -> tuple[int | str | None, ...]:
        """Return the windows to train with, one after the other."""
        return tuple(self.window) if isinstance(self.window, (list, tuple)) else (self.window,)

    def warm_start_key(self) -> tuple:
        """Return the parts that must stay the same for a warm start."""
        corrected = None if self.corrected is None else tuple(self.corrected)
        parts = (self.observe, self.n_states, self.inputs, self.join, self.correct, corrected)
        return (type(self), *parts)

    def observe_parameters(self) -> tuple[str, ...]:
        """Return the names of the physics parameters that ``observe`` reads."""
        return tuple(
            parameter.name
            for parameter in self._observe_signature()
            if parameter.kind is parameter.KEYWORD_ONLY
        )

    def n_observe_inputs(self) -> int:
        """Return how many positional arguments ``observe`` takes."""
        return sum(
            parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            for parameter in self._observe_signature()
        )

    def _observe_signature(self) -> Sequence[inspect.Parameter]:
        if self.observe is None:
            return ()
        function: Any = getattr(self.observe, "forward", self.observe)
        return tuple(inspect.signature(function).parameters.values())
