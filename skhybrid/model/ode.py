"""ODE: parameters of a hybrid differential equation."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from skhybrid.exceptions import PhysicsError
from skhybrid.model.ode_checks import check_ode
from skhybrid.model.solvers import FIXED_STEP, METHODS

# Steps of a rollout. So many take about half an hour, and some ten gigabytes for their states.
MAX_STEPS = 10**7


class ODE(BaseEstimator):
    """A hybrid differential equation, dx/dt = f_S(t, x, u; θ) + f_N(x, u; φ).

    Pass it as ``structure`` to :class:`~skhybrid.HybridRegressor`, whose physics is then a
    right-hand side: ``f(t, state, *, parameters)``, or ``f(t, state, inputs, *, parameters)`` if
    the system has inputs. ``state`` has shape (n, n_states), or (n, n_channels, ...) for fields,
    ``inputs`` has shape (n, n_inputs) and ``t`` has shape (n,).

    Each sample is a trajectory. There are two layouts:

    - ``inputs=None``: X holds initial states, of shape (n, n_states) or (n, n_channels, ...), and
      y the states after them, of shape (n, n_times, n_states) or (n, n_times, n_channels, ...).
    - ``inputs="hold"`` or ``"linear"``: X holds the inputs over time, (n, n_times, n_inputs), and y
      the outputs at the same times, (n, n_times, n_outputs). If trajectories have different
      lengths, X and y are lists of arrays.

    NaN in y is a missing value (set ``missing_targets="mask"``).

    Parameters
    ----------
    dt : float or None, default=None
        Time between two observations. Give this or ``times``.
    times : array-like of shape (n_times,), list of arrays, str or int, default=None
        Times of the observations, increasing. With ``inputs=None`` the initial state has time 0, or
        the first of ``n_times + 1`` times. A list holds the times of each trajectory. A str or int
        names the column of X that holds the times. Cross-validation then splits the times with the
        trajectories, and the column is not among the inputs of the physics.
    method : str, default="rk4"
        "euler", "midpoint" and "rk4" take steps of fixed length. The others are torchdiffeq's:
        "dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun" (adaptive), "implicit_adams"
        (fixed steps, not for stiff equations). "bdf" and "radau" are scipy's, for stiff equations;
        the gradient comes from the adjoint equation. All these are slower, and training evaluates
        restarts and candidates of a search one after the other.
    substeps : int or "auto", default="auto"
        Steps of a fixed-step method between two observations. "auto" is a power of two, at most 64,
        that each fit chooses from its own training windows: steps are halved until this changes the
        physics' prediction by less than a thousandth of the target's standard deviation, and of
        what changes within a window. For "euler" it is a hundredth: its steps would have to be ten
        times as short for a tenth of the error, and "rk4" needs far fewer. If observations are not
        evenly spaced, an interval of length Δt has ⌈Δt/h⌉ steps, and the longest step h is chosen;
        windows are solved together, so the longest interval at a position of the windows counts.
        The choice is made at the start and checked at the θ of least squares. The attribute
        ``substeps_`` holds the result. With a number, each interval has as many steps, whatever its
        length. A :class:`~skhybrid.exceptions.SolverWarning` says if steps are too long after the
        fit.
    window : int, sequence of int, "auto" or None, default="auto"
        Steps of the windows into which training splits trajectories (multiple shooting [1]_). Short
        windows are several times faster than whole trajectories, and training ends in a local
        minimum less often [2]_. A sequence trains with each window length in turn, each for its
        share of the epochs. None is whole trajectories. "auto" is 2, the best for θ on all tasks
        measured, and 5 if first states are learned: longer windows are slower there, and let what
        the physics lacks move the first states. It is 20 for hidden states of a network alone,
        which have no other meaning than what a rollout makes of them. For ``nn=None``, "auto"
        begins with these windows and continues on longer ones, up to whole trajectories of at most
        2,000 steps of the solver, as long as the physics can follow: the loss must stay below the
        target's variance, and below 1.5 times the loss on the first windows (ten times if first
        states are learned). ``window_`` of the model says where it ended.
    observe : callable or None, default=None
        Maps states to the measured outputs: ``observe(state)`` or ``observe(state, inputs)``
        returns a tensor of shape (n, n_outputs). Its keyword-only arguments name physics
        parameters; it gets their values. None: the outputs are the states.
    n_states : int or None, default=None
        Number of states of the physics. Needed with ``observe`` if X holds inputs.
    initial_state : {"auto", "given", "learned"} or list of str, int or None, default="auto"
        Whether the first state of a window is observed or learned. Noise in observed first states
        biases θ (errors in variables). "auto" is "learned" if states are not observed, or if their
        noise, estimated from fifth differences in time, is more than a fifth of their standard
        deviation; otherwise "given". A list is "auto" for records with known initial states: it has
        one entry for each state, the name or number of the column of X that holds its initial
        value. The first row of a record counts. NaN there, and None in place of a column, is
        unknown. These columns are not among the inputs. With ``observe`` a known initial value is
        exact and the others are learned; ``predict`` and ``score`` start from the columns, too.
    continuity : float, default=1.0
        Weight of the mean squared gap between the end of a window and the learned first state of
        the next. The unit is the standard deviation of the states.
    state_guess : array-like of shape (n_states,) or None, default=None
        First guess of unknown states. None is zero plus the smallest change with which ``observe``
        returns the outputs.
    n_initial : int, default=10
        Number of first outputs from which ``score`` estimates an unknown initial state; they do not
        count in the score. 0 uses the mean initial state of the training trajectories, as
        ``predict`` does if it gets no initial state.
    inputs : {"hold", "linear"} or None, default=None
        Whether X holds inputs, and how they behave between two times: they keep their value
        (zero-order hold), or change linearly.
    join : {"auto", "add", "multiply", "none"} or callable, default="auto"
        The right-hand side: f_S + f_N, f_S · (1 + f_N), f_S alone with parameters that the network
        gives (``depends_on`` of :class:`Param`), or ``join(t, state, physics, nn)``
        (``join(t, state, inputs, physics, nn)`` with inputs). Call ``physics`` and ``nn`` with the
        arguments before them, as in ``physics(t, state)``. "auto" is "none" if a parameter depends
        on features and there is neither ``corrects`` nor ``n_free_states``, otherwise "add".
    correct : {"rate", "output"}, default="rate"
        Whether the network adds to the rates or to the outputs. If it adds to the outputs, it reads
        the state and the inputs of the same time, and its unit is the standard deviation of the
        outputs.
    corrected : sequence of int or None, default=None
        With ``correct="output"``: the outputs to which the network adds. None is all. If the
        network may correct an output that the physics explains, it replaces the physics there.
    corrects : sequence of str or int, or None, default=None
        Names (columns of X, or ``state_names``) or numbers of the states whose rates the network
        may change, for ``join="add"`` and "multiply"; for fields, of channels. The network has an
        output for each of them. The other rates are those of the physics: the rate of a position
        is the velocity, whatever a network adds to it. None is all states. With ``physics=None``
        there are no other rates, and ``corrects`` is not possible.
    n_free_states : int, default=0
        Number of states that are the network's alone, such as the temperature of a wall inside a
        building, or a memory. They follow the states of the physics, which sees only its own. The
        network reads all states (with ``nn_features`` also) and gives the rates of the free ones
        and of those in ``corrects``. Free states are not observed and their unit is 1. Their names
        in ``nn_features`` are "free_0", "free_1" and so on. The first states of windows are
        learned, as with ``observe``. The first guess of a free state is what the physics leaves
        unexplained, as far as it changes slowly. A new record begins at the mean free states of
        the training records, or at those that its first outputs tell. Vectors only; with
        ``nn=None`` there are none.
    state_names, input_names : sequence of str or None, default=None
        Names for the network's inputs in ``nn_features``. None uses the column names of X, or
        "state_0", "input_0" and so on. By default the network reads the state and the inputs; with
        "time" in ``nn_features`` it reads the time, too.
    rtol, atol : float, default=1e-5, 1e-7
        Relative and absolute tolerance of the methods without fixed steps. The unit of ``atol`` is
        the standard deviation of each state (rounded to a power of two). The defaults are as small
        as single precision allows.
    adjoint : bool, default=False
        Whether torchdiffeq's methods get their gradients from the adjoint equation [3]_. Its memory
        does not grow with the number of steps. Otherwise gradients pass through the steps.

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

    # Whether X and y are images.
    reads_images = False

    _parameter_constraints: dict = {
        "dt": [Interval(Real, 0, None, closed="neither"), None],
        "times": ["array-like", str, Integral, None],
        "method": [StrOptions(set(METHODS))],
        "substeps": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "window": [
            Interval(Integral, 1, None, closed="left"),
            list,
            tuple,
            StrOptions({"auto"}),
            None,
        ],
        "observe": [callable, None],
        "n_states": [Interval(Integral, 1, None, closed="left"), None],
        "initial_state": [StrOptions({"auto", "given", "learned"}), list, tuple],
        "continuity": [Interval(Real, 0, None, closed="left")],
        "state_guess": ["array-like", Real, None],
        "n_initial": [Interval(Integral, 0, None, closed="left")],
        "inputs": [StrOptions({"hold", "linear"}), None],
        "join": [StrOptions({"auto", "add", "multiply", "none"}), callable],
        "correct": [StrOptions({"rate", "output"})],
        "corrected": ["array-like", None],
        "corrects": ["array-like", str, None],
        "n_free_states": [Interval(Integral, 0, None, closed="left")],
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
        substeps="auto",
        window="auto",
        observe=None,
        n_states=None,
        initial_state="auto",
        inputs=None,
        join="auto",
        rtol=1e-5,
        atol=1e-7,
        *,
        continuity=1.0,
        state_guess=None,
        n_initial=10,
        correct="rate",
        corrected=None,
        corrects=None,
        n_free_states=0,
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
        self.corrects = corrects
        self.n_free_states = n_free_states
        self.state_names = state_names
        self.input_names = input_names
        self.adjoint = adjoint

    def validate(self) -> None:
        """Raise a ValueError that names the first wrong parameter."""
        check_ode(self)

    @property
    def has_hidden_states(self) -> bool:
        """Whether states are not observed, so that the first states of windows are learned."""
        return not self.reads_images and (self.observe is not None or self.n_free_states > 0)

    @property
    def names_initial_states(self) -> bool:
        """Whether ``initial_state`` lists columns of X."""
        return not isinstance(self.initial_state, str)

    def chosen_join(self, *, varies: bool) -> Any:
        """Return how physics and network are joined; ``varies``: a parameter is a function."""
        if self.join != "auto":
            return self.join
        corrects = self.corrects is not None or self.n_free_states > 0
        return "none" if varies and not corrects else "add"

    def given_substeps(self) -> int:
        """Return the given number of steps between observations; for "auto", the smallest."""
        return 1 if self.substeps == "auto" else self.substeps

    def require_few_steps(self, n_steps: float, until: str) -> None:
        """Raise a ValueError if a rollout needs more steps than can be taken.

        Parameters
        ----------
        n_steps : float
            Number of intervals, each with ``substeps`` steps; one at least for "auto".
        until : str
            Part of the message: where the rollout ends.
        """
        if self.method in FIXED_STEP:
            n_steps = n_steps * self.given_substeps()
        if n_steps > MAX_STEPS:
            raise ValueError(
                f"A rollout {until} needs {n_steps:.3g} steps, and more than {MAX_STEPS:.0e} take "
                "too much time and memory. Choose earlier times, longer time steps or fewer "
                "substeps, or an adaptive method (method='dopri5')."
            )

    def windows(self) -> tuple[int | str | None, ...]:
        """Return the windows to train with, in this order."""
        return tuple(self.window) if isinstance(self.window, (list, tuple)) else (self.window,)

    def warm_start_key(self) -> tuple:
        """Return the parts that must stay the same for a warm start."""
        lists = (self.corrected, self.corrects)
        chosen = [None if each is None else tuple(each) for each in lists]
        parts = (self.observe, self.n_states, self.inputs, self.join, self.correct)
        return (type(self), *parts, self.n_free_states, *chosen)

    def observe_parameters(self) -> tuple[str, ...]:
        """Return the names of the physics parameters that ``observe`` reads."""
        return tuple(
            parameter.name
            for parameter in self._observe_signature()
            if parameter.kind is parameter.KEYWORD_ONLY
        )

    def n_observe_inputs(self) -> int:
        """Return the number of positional arguments of ``observe``."""
        return sum(
            parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            for parameter in self._observe_signature()
        )

    def _observe_signature(self) -> Sequence[inspect.Parameter]:
        """Return the arguments of ``observe``; for a module, those of ``forward``."""
        if self.observe is None:
            return ()
        function: Any = getattr(self.observe, "forward", self.observe)
        try:
            return tuple(inspect.signature(function).parameters.values())
        except (TypeError, ValueError) as error:
            raise PhysicsError(
                f"The signature of observe={self.observe!r} cannot be read. Wrap it in a function "
                "of your own: observe=lambda state: ..."
            ) from error
