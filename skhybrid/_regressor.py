"""The estimator: its parameters, and the fit. Its predictions are in prediction/methods.py."""

from __future__ import annotations

from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.validation import check_is_fitted

from skhybrid.batching.auto_parameters import auto_parameters
from skhybrid.batching.deferred_fits import NotTrainedYet, open_deferred_fits
from skhybrid.batching.one_fit import fit_once, forget_fit
from skhybrid.fitting.checkpoints import checkpoints_in
from skhybrid.fitting.feature_names import features_restored_on_failure
from skhybrid.fitting.fitted import Fitted
from skhybrid.fitting.group_tables import group_tables
from skhybrid.fitting.other_params import copied_with_params
from skhybrid.fitting.settings import PARAMETER_CONSTRAINTS
from skhybrid.fitting.summary import summarise
from skhybrid.model.physics import require_wrapped
from skhybrid.prediction.methods import PredictionMethods
from skhybrid.runtime.interrupts import keeps_interrupted_fit
from skhybrid.runtime.progress import showing
from skhybrid.runtime.threads import threads


class HybridRegressor(CallbackSupportMixin, PredictionMethods, RegressorMixin, BaseEstimator):
    """Hybrid of a scientific model and a neural network, fitted end to end.

    The prediction joins the physics f_S(x; θ) and the network f_N(x; φ). A flexible network fits
    the data for any θ. Sharpness-aware minimisation [1]_ [2]_ therefore estimates θ: it prefers the
    flattest of all networks that fit, so that the physics explains as much as it can. Then θ is
    held and the network is refined, so that predictions do not pay for the flatness. The
    :doc:`glossary </user_guide/glossary>` explains the words.

    Parameters
    ----------
    physics : callable, torch.nn.Module, Physics or None, default=None
        The scientific model, written with torch operations. A function's positional arguments are
        features: DataFrame columns by name, array columns by order; a single argument ``X`` gets
        the whole table. Its keyword-only arguments are the unknown parameters θ, with their initial
        values as defaults. :class:`Physics` adds bounds and units, and its unknown ``k`` is the
        parameter ``physics__k`` in a grid. None is a network alone.
    nn : int, sequence of int, torch.nn.Module or None, default=(64, 64)
        Hidden sizes of a multilayer perceptron with SiLU activations, or your own module, which is
        copied and initialised anew. It reads standardised features; its output is in units of the
        target's standard deviation. None fits the physics alone, by nonlinear least squares.
    structure : {"auto", "additive", "multiplicative", "serial", "none"}, ODE, LatentODE or \
            callable, default="auto"
        How they are joined: f_S + f_N; f_S · (1 + f_N); f_S + f_N(x, f_S); f_S alone, whose
        parameters the network gives; or a function ``(x, physics, nn) -> y`` that calls
        ``physics(x)``, or ``physics(x, k=values)`` to give a parameter, and
        ``nn(x, *more_inputs, scale=None)``. With an :class:`ODE` both are parts of the right-hand
        side of a differential equation, and the samples are trajectories. "auto" is "none" if a
        parameter depends on features (``depends_on`` of :class:`Param`), otherwise "additive".
    loss : {"squared_error", "huber", "absolute_error"}, default="squared_error"
        What an error of size e costs, in units of the target's variance: e²; with "huber" e² up to
        δ s and δ s (2 e - δ s) beyond [7]_; with "absolute_error" √(π/2) s e. With the last two,
        outliers move θ little. s is the spread of the errors of each target: the weighted median
        of their sizes over 0.6745. It is computed anew for every minibatch. The target's own scale
        is then a median too. Both phases, the least-squares start and ``nn=None`` have the same
        loss.
    huber_delta : float, default=1.345
        δ of ``loss="huber"``, at least 0.01: below, choose "absolute_error". With the default the
        variance of estimates is 5 % above that of least squares if errors are normal [8]_.
    optimizer : {"sam", "adam"}, default="sam"
        Sharpness-aware minimisation, or plain empirical risk minimisation. Both step with Adam [3]_
        and a learning rate that decays to zero along a half cosine.
    rho : float or "auto", default=0.05
        Base radius of sharpness-aware minimisation while θ is estimated. The default is near the
        best for θ with ``perturbation="layer"`` on all noisy tasks measured; with "global" it must
        be tuned.
        "auto" is the smallest of seven radii from 0 to 0.2 at which θ is as reproducible over
        folds and restarts as it gets (:class:`~skhybrid.model_selection.stable`), among those that
        predict well. If 0.2 is chosen, 0.4 and 0.8 are compared too. It takes some 20 times as
        long. Without free physics parameters, "auto" is the largest radius whose prediction is as
        good as the best within one standard error.
    rho_schedule : {"noise", "constant"}, default="noise"
        "noise": the radius follows the noise in the training loss. It is
        ρ · max(cos⁴(πp/2), √m), where p goes from 0 to 1 while the rates fall, and m is a moving
        average, over a thirtieth of the phase, of min(1, ℓ / 0.03²); ℓ is the loss of a minibatch
        without penalties. So it stays ρ while the error is 3 % of the target's standard deviation
        or more. On cleaner data it falls, because there a large radius costs accuracy of θ and
        protects it from nothing. The formula is ours. "constant": the radius is ρ. The same holds
        for ``refine_rho`` above 0.
    perturbation : {"layer", "global", "elementwise"}, default="layer"
        What the radius means: ‖ε‖ = ρ‖W‖ for every weight tensor; ‖ε‖ = ρ over all weights [2]_;
        or ρ relative to every single weight [4]_.
    perturb : {"nn", "all"}, default="nn"
        Whether only the network is perturbed, or θ too. Curvature in θ is information about θ;
        flattening it would prefer physics that is insensitive to its parameters.
    refine_rho : float, "auto" or None, default=0.0
        Radius of the second phase, which holds θ and continues to train the network; 0 is plain
        Adam. The phase ends at the epoch that predicts held-out rows best, or at the last epoch if
        this is as good within one standard error. It stops early where it clearly overfits: after
        30 % of its epochs, if held-out losses have risen by more than three standard errors.
        Held-out rows are those of ``early_stopping``, or the rows of five folds, for which copies
        of the network are trained alongside. There is no second phase with fewer than 25 rows,
        ``rho=0``, ``optimizer="adam"`` or None. "auto" is 0, unless None, 0.02 or 0.05 predict
        held-out rows better by more than one standard error; then it is the best of them.
    l2 : float or "auto", default=0.0
        λ in λ Σ‖W‖² over the network's weights; the loss is the mean squared error in units of the
        target's variance. The perturbation leaves this term out [2]_. "auto", here and for the
        other penalties, is the largest of five weights whose prediction is as good as the best
        within one standard error.
    functional_norm : float or "auto", default=0.0
        λ in λ · mean(c²); c is the network's contribution in units of the target's standard
        deviation [5]_.
    orthogonality : float or "auto", default=0.0
        λ in λ · mean((P c)²); P projects on the physics' sensitivities ∂f_S/∂θ in the minibatch
        [6]_. The sensitivities make a step several times slower.
    learning_rate : float, default=6e-3
        Adam's step size for the network. It falls to zero along half a cosine, with one exception
        (see ``max_epochs``).
    physics_learning_rate : float or None, default=None
        Adam's step size for θ in units of its scale; None is ten times ``learning_rate`` (three
        times for a :class:`LatentODE`). With equal rates θ stays near its start for thousands of
        steps while the network explains the data.
    max_epochs : int or "auto", default="auto"
        Epochs of each of the two phases: 40 are 80 in all. "auto" makes 3,000 steps (1,000 through
        the windows of an ODE), and at least 20 epochs. The first phase of a table makes only 1,500
        steps, at one and a half times the learning rates, which begin to fall in its last quarter:
        θ is then as accurate. Fits with ``optimizer="adam"`` or early stopping do not. With
        ``batch_size="auto"``, more than 20,480 rows have fewer epochs, two at least, so that a
        phase makes 6,400 steps at most.
    batch_size : int, "auto" or None, default="auto"
        Largest number of rows in a minibatch. "auto" is 64, also for fields; from 204,800 rows on
        it grows with them, so that the number of steps is bounded. None is all rows.
    n_restarts : int, default=1
        Number of fits, trained in one batch, from different networks and different θ (drawn between
        two bounds, otherwise around the start by half its size). The fit with the lowest
        validation or training loss, priors included, is kept; ``restarts_`` lists all.
    early_stopping : bool, default=False
        Whether to hold out ``validation_fraction`` of the rows, stop when their loss stops
        improving, and keep the parameters with the lowest.
    validation_fraction : float, default=0.1
        Part of the rows that early stopping holds out.
    n_iter_no_change : int, default=30
        Epochs without an improvement by ``tol`` after which early stopping ends a phase.
    tol : float, default=1e-4
        Smallest improvement that counts, in units of the target's variance.
    nn_features : sequence of str or int, "auto" or None, default=None
        Columns that the network reads; None is all. A network cannot replace the physics if it
        does not see the columns that the physics explains. If the network only gives parameters,
        these are the features of ``depends_on`` that count. "auto" is the smallest set that
        predicts held-out rows as well as any, within one standard error. With up to six columns it
        tries all sets; with more it leaves out one column after the other. For an ODE, columns are
        state components, inputs and the time.
    nn_extrapolation : {"hold", "free"}, default="hold"
        Outside the training range the physics extrapolates. "hold" clamps the network's inputs to
        this range at prediction (for an ODE, a tenth wider on either side); "free" does not.
        ``predict(X, return_outside=True)`` tells which rows this concerns.
    physics_init : {"least_squares", "given"}, default="least_squares"
        Where θ starts: at a quick least-squares fit of the physics alone (at most 2,000 rows), or
        at the given initial values (with a prior, at most three of its standard deviations from its
        centre). If that fit ends on a bound or explains less than 30 % of the
        variance, the given values are tried as well.
    missing_targets : {"error", "mask"}, default="error"
        Whether NaN in y is an error, or is left out of the loss and of ``score``, target by target.
    warm_start : bool, default=False
        Whether ``fit`` continues from the parameters, the network and the scales of the last fit.
        The physics parameters, the structure, ``nn``, ``nn_features`` and the shape of one target
        must not change. New initial values of free physics parameters do not move the start.
    dtype : {"float32", "float64"}, default="float32"
        Precision of training and prediction. Least squares always uses float64.
    device : str or torch.device, default="cpu"
        Where to train and predict; "auto" is "cuda" if there is a GPU. One fit of a small network
        is faster on the CPU. A GPU pays for many fits in one batch, as in :class:`HybridSearchCV`,
        and for large networks.
    n_threads : int or None, default=None
        Threads of torch during ``fit`` and ``predict``. None is one, the fastest for networks and
        minibatches of the usual size. At most 16 for each CPU core.
    compile : bool or "auto", default=False
        Whether to compile the steps of the training with ``torch.compile``. It needs a C++
        compiler. Steps of a single fit then take about half as long; the first fit of a model waits
        about 20 seconds, and a later process, for which torch keeps the code on disk, three. The
        default is False, because rounding differs. "auto" compiles phases of at least 60,000 steps
        if there is a compiler. The attribute ``compiled_`` says what was done. Models that torch
        cannot record are not compiled: physics that branches on its data, leaves torch or draws
        random numbers, adaptive and stiff solvers, and networks with dropout.
    checkpoint : str, path or None, default=None
        Folder in which ``fit`` keeps the state of its training while it runs, so that the same call
        goes on if it was killed, and ends with the same result. The files are removed when the fit
        ends. Training on one CPU thread goes on bit for bit. In a :class:`HybridSearchCV`, give the
        folder to the search.
    random_state : int, RandomState instance or None, default=None
        Seed of the networks, the minibatches, the restarts and the held-out rows.
    verbose : int, default=0
        Whether to show what runs: the phase and the epoch, the loss, θ with its units, the
        physics' share, the time so far and about how much is left. With the package ``rich`` and in
        a terminal there is a bar, otherwise a line now and then. Fits, results and batches are the
        same as without.

    Attributes
    ----------
    physics_params_ : dict of str to float or ndarray
        Physics parameters in your units, fixed ones included. Of one with ``per``, this is the
        common value of the groups; one with ``depends_on`` has no such value and is left out.
    group_params_ : dict of str to Series or DataFrame
        Values of the parameters with ``per`` for each group; a column for each element of an array.
    physics_params_std_ : dict of str to float or ndarray
        For ``nn=None``: standard errors of the free physics parameters, from the Jacobian of the
        least-squares fit. NaN on a bound, and where the data do not fix the value. With a network
        there is no such attribute.
    physics_params_correlation_ : DataFrame
        For ``nn=None``: correlations between the errors of their elements.
    module_ : torch.nn.Module or None
        The trained network, from standardised inputs to units of the target's standard deviation.
    loss_ : float
        Mean weighted loss over the training rows, in units of the target's variance. With
        ``loss="squared_error"`` it is the mean squared error. Penalties and priors are not in it,
        but for gaps between windows with learned first states (``continuity`` of :class:`ODE`).
    physics_share_ : float
        Part of the explained variance that the physics explains, between 0 and 1, at the end of the
        first phase. NaN if the model explains nothing. With parameters that are functions of
        features, it is that of the parts that ``predict_parts`` returns, at the end of the fit.
    loss_curve_ : list of float
        Mean loss over the minibatches, penalties included, in every epoch of both phases. For
        ``nn=None`` the loss at every evaluation.
    compiled_ : bool
        Whether steps were compiled, in one phase at least. False with ``compile=True`` means that
        the model cannot be compiled, or that the compiler failed, which a warning tells.
    n_iter_ : int
        Epochs of both phases together. For ``nn=None`` evaluations of the physics.
    restarts_ : list of dict
        "start" (where θ began: "least squares", "given", "drawn" or "last fit"), "loss",
        "validation_loss", "physics_params", "status" and "n_iter" of every restart, and of other
        starts that were tried.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        Column names, if X had any.
    rho_, refine_rho_, l2_, functional_norm_, orthogonality_ : float
        Chosen value of a parameter that is "auto"; the others have no such attribute.
    nn_features_ : list of str or int
        The same for ``nn_features="auto"``.
    rho_path_, refine_rho_path_, l2_path_, functional_norm_path_, orthogonality_path_, \
            nn_features_path_ : dict of str to ndarray
        Results of all candidates, a row for each, ready for a DataFrame: the value, its mean
        cross-validated "score", how much it is "worse than best" with the paired "standard error",
        the "physics share", every physics parameter and its spread, and "chosen". Without rows if
        an interrupt from the keyboard left the default.
    substeps_ : int or ndarray of int
        For an ODE with a fixed-step method: its steps between two observations, chosen or as given.
        An array holds one number for each interval of a training window. ``predict`` takes steps
        that are no longer.
    initial_states_ : ndarray of shape (n_samples, n_states)
        Learned initial states of an ODE's training trajectories; NaN for trajectories that have no
        weight or are held out. Only if first states are learned.
    window_ : int
        Steps of the training windows of an ODE; those of the last stage if there are several.
    free_run_losses_ : dict of str to float
        For an ODE with physics and network: mean squared errors of rollouts over the training
        trajectories, from where ``predict`` starts, in units of the target's variance. "hybrid" is
        the fitted model, "physics" is the physics alone at the start of training, for which least
        squares has fitted θ. At most 16 trajectories count, and of each the first 1,000 steps of
        the solver. Infinite if a rollout is not finite.

    Warns
    -----
    CheckpointWarning
        If a checkpoint could not be written, or belongs to another fit or is damaged. The fit goes
        on without it.
    CompilationWarning
        If the steps cannot be compiled, and ``compile=True``. The fit goes on without.
    CollapseWarning
        If the network's or the physics' part explains nothing.
    ColumnBindingWarning
        If X has no column names, and more columns than the physics reads.
    FitInterruptedWarning
        If the user interrupts the training from the keyboard. The fit keeps the model of the last
        whole epoch, and its restart has the status "interrupted from the keyboard". If the choice
        of parameters that are "auto" is interrupted, those not chosen yet have their defaults, and
        the fit goes on. The interrupt is raised before the end of the first epoch, in a search or
        another meta-estimator with many fits, in a worker process and in a thread.
    FreeRunWarning
        If rollouts of the hybrid over the training trajectories are worse than those of the physics
        alone (see ``free_run_losses_``).
    NonFiniteLossWarning
        If a restart met a non-finite loss and was stopped.
    ParameterWarning
        If a physics parameter ended on its bound, has no effect, acts only together with another
        one, or is a plain tensor of a module.
    PoorFitWarning
        If the fit is worse than the mean of y, y is constant, or it has fewer numbers than the
        physics has free parameters (beside a network, fewer than five for each).
    PhysicsInitWarning
        If the least-squares start failed and the given values are used.
    SolverWarning
        If the steps of a fixed-step solver are too long at the fitted parameters: steps of half the
        length would change the prediction or a parameter by more than one per cent.

    See Also
    --------
    check_physics : Whether a physics can be fitted to data, before a fit.
    Physics : The scientific model with bounds and units.
    ODE : Differential equations: the physics is a right-hand side.
    LatentODE : The same behind an encoder and a decoder.

    Notes
    -----
    A small loss does not prove that θ is right. If a missing part looks like the physics' response
    to a parameter, no rule can tell the two apart. ``nn_features`` and bounds add your knowledge.

    An offset of the physics and the mean of an additive network give the same prediction; so do a
    gain of the physics and the mean factor of a multiplicative network. The data do not determine
    the split. By convention, when θ is final, the network has a (weighted) mean of zero over the
    training rows, and 1 + f_N a mean of one. The later refinement may change it slightly. A
    ``ParameterWarning`` names the parameter if bounds or the end of your module prevent this. With
    ``physics_learning_rate=0``, θ stays where it is.

    With sample weights and ``batch_size=None``, a weight of two equals a row given twice.

    References
    ----------
    .. [1] N. Takeishi, "Sharpness-Aware Hybrid Model Learning for Architecture-Agnostic Parameter
       Estimation", arXiv:2602.06837, 2026.
    .. [2] P. Foret, A. Kleiner, H. Mobahi, B. Neyshabur, "Sharpness-aware minimization for
       efficiently improving generalization", ICLR 2021.
    .. [3] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization",
       ICLR 2015.
    .. [4] J. Kwon, J. Kim, H. Park, I. K. Choi, "ASAM: adaptive sharpness-aware minimization for
       scale-invariant learning of deep neural networks", ICML 2021.
    .. [5] Y. Yin et al., "Augmenting physical models with deep networks for complex dynamics
       forecasting", ICLR 2021.
    .. [6] B. M. Györök et al., "Orthogonal projection-based regularization for efficient model
       augmentation", L4DC 2025.
    .. [7] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical
       Statistics 35, 1964.
    .. [8] P. W. Holland, R. E. Welsch, "Robust regression using iteratively reweighted
       least-squares", Communications in Statistics A6, 1977.

    Examples
    --------
    >>> import torch
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> def pendulum(angle, velocity, *, omega2=1.0):
    ...     return -omega2 * torch.sin(angle)
    >>> pendulum_data = make_pendulum_acceleration(missing="drag", random_state=0)
    >>> model = HybridRegressor(pendulum, random_state=0)
    >>> model = model.fit(pendulum_data.data, pendulum_data.target)
    >>> error = model.physics_params_["omega2"] / pendulum_data.physics_params["omega2"] - 1
    >>> abs(error) < 0.03
    True
    """

    _parameter_constraints: dict = PARAMETER_CONSTRAINTS

    def __init__(
        self,
        physics=None,
        nn=(64, 64),
        structure="auto",
        *,
        loss="squared_error",
        huber_delta=1.345,
        optimizer="sam",
        rho=0.05,
        rho_schedule="noise",
        perturbation="layer",
        perturb="nn",
        refine_rho=0.0,
        l2=0.0,
        functional_norm=0.0,
        orthogonality=0.0,
        learning_rate=6e-3,
        physics_learning_rate=None,
        max_epochs="auto",
        batch_size="auto",
        n_restarts=1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=30,
        tol=1e-4,
        nn_features=None,
        nn_extrapolation="hold",
        physics_init="least_squares",
        missing_targets="error",
        warm_start=False,
        dtype="float32",
        device="cpu",
        n_threads=None,
        compile=False,
        checkpoint=None,
        random_state=None,
        verbose=0,
    ):
        self.physics = physics
        self.nn = nn
        self.structure = structure
        self.loss = loss
        self.huber_delta = huber_delta
        self.optimizer = optimizer
        self.rho = rho
        self.rho_schedule = rho_schedule
        self.perturbation = perturbation
        self.perturb = perturb
        self.refine_rho = refine_rho
        self.l2 = l2
        self.functional_norm = functional_norm
        self.orthogonality = orthogonality
        self.learning_rate = learning_rate
        self.physics_learning_rate = physics_learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.n_restarts = n_restarts
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.nn_features = nn_features
        self.nn_extrapolation = nn_extrapolation
        self.physics_init = physics_init
        self.missing_targets = missing_targets
        self.warm_start = warm_start
        self.dtype = dtype
        self.device = device
        self.n_threads = n_threads
        self.compile = compile
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose

    def set_params(self, **params):
        """Set the parameters of the estimator.

        Parameters
        ----------
        **params : dict
            By name. With ``physics=Physics(...)``, ``physics__k`` is the unknown ``k``, as in
            :meth:`Physics.set_params`.

        Returns
        -------
        self : HybridRegressor

        Raises
        ------
        ValueError
            If a name is unknown.
        PhysicsError
            If ``physics__k`` is given, and the physics is not wrapped in Physics or cannot have
            this value.
        """
        require_wrapped(params.get("physics", self.physics), params)
        return super().set_params(**params)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the physics parameters and the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features in raw units. Column names of a DataFrame bind to the physics' arguments. For
            an :class:`ODE`: initial states, of shape (n_samples, n_states), or inputs over time, of
            shape (n_samples, n_times, n_inputs) or a list of arrays.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets; some may be NaN with ``missing_targets="mask"``. For an ODE: trajectories, of
            shape (n_samples, n_times, n_outputs) or a list of arrays.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, not negative. Rows of weight zero are left out.

        Returns
        -------
        self : HybridRegressor
            The fitted estimator.

        Raises
        ------
        PhysicsError, NetworkError, StructureError
            If the physics, the network or the structure cannot be used on these data, or fails.
        ValueError
            If the data cannot be used, or if ``warm_start=True`` and the model has other parts
            than in the last fit.
        CheckpointError
            If the folder of ``checkpoint`` cannot be created or written.
        TrainingError
            If the loss of every restart was non-finite in its first epoch.
        """
        with features_restored_on_failure(self), threads(self.n_threads), showing(self.verbose):
            deferred = open_deferred_fits()
            if deferred is not None and self._can_be_batched():
                deferred.add(self, X, y, sample_weight)
                return self
            keep_interrupted = keeps_interrupted_fit()
            call = (self, X, y, sample_weight, self._previous())
            with checkpoints_in(self.checkpoint, *call) as own:
                choices, fitted, callbacks = fit_once(
                    self, X, y, sample_weight, keep_interrupted=keep_interrupted, own=own
                )
        forget_fit(self)
        vars(self).update(choices.attributes)
        vars(self).update(fitted.attributes())
        callbacks.end(fitted)
        return self

    @property
    def physics_params_std_(self):
        """Standard errors of the free physics parameters, for ``nn=None``."""
        check_is_fitted(self)
        return self._fitted.require_standard_errors().std

    @property
    def physics_params_correlation_(self):
        """Correlations between the errors of the physics parameters, for ``nn=None``."""
        check_is_fitted(self)
        return self._fitted.require_standard_errors().correlation_frame

    @property
    def group_params_(self):
        """Values of parameters with ``per``, by name: a Series or, of an array, a DataFrame."""
        check_is_fitted(self)
        return group_tables(self._fitted)

    def with_params(self, **params):
        """Return the same fitted model with other values of physics parameters.

        It answers what-if questions: the network, the scales and all other parameters stay as they
        were fitted. A fit of the returned model estimates all parameters anew.

        Parameters
        ----------
        **params : float or array-like
            Values by name, in your units and in the shape of the parameter; also of fixed ones.

        Returns
        -------
        model : HybridRegressor
            A fitted copy; this model does not change. Its ``summary()`` marks the values as set,
            and there are no standard errors. ``loss_``, ``restarts_`` and all that tells about the
            training are those of the fit.

        Raises
        ------
        PhysicsError
            If there is no such parameter, or the value is outside its bounds, has another shape or
            is not finite.

        Notes
        -----
        The network has learned what the physics lacks at the fitted values. With values far from
        them its part may no longer suit, and ``nn_extrapolation="hold"`` clamps inputs that leave
        the training range, such as states of an ODE. With an :class:`ODE` and ``substeps="auto"``,
        predictions choose the steps of the solver for the new values.

        Examples
        --------
        >>> import numpy as np
        >>> import torch
        >>> from skhybrid import HybridRegressor
        >>> def cooling(time, *, rate=1.0):
        ...     return 80.0 * torch.exp(-rate * time)
        >>> time = np.linspace(0.0, 3.0, 20)[:, None]
        >>> model = HybridRegressor(cooling, nn=None).fit(time, 80.0 * np.exp(-0.7 * time[:, 0]))
        >>> float(model.with_params(rate=0.0).predict([[2.0]])[0])
        80.0
        >>> round(model.physics_params_["rate"], 6)
        0.7
        """
        check_is_fitted(self)
        return copied_with_params(self, params)

    def summary(self):
        """Return a table of the physics parameters, and how the model was fitted.

        Returns
        -------
        summary : Summary
            Shows itself as text, and as a table in notebooks. ``summary.frame`` is a DataFrame with
            a row for each element: value, standard error (NaN with a network, and where it is not
            known), unit, start, bounds, the bound reached, whether it is fixed, and whether
            :meth:`with_params` has given it.
        """
        check_is_fitted(self)
        return summarise(self, self._fitted)

    def _has_own_fit(self) -> bool:
        """Whether a subclass overrides ``fit``, so that a search must call it."""
        return type(self).fit is not HybridRegressor.fit

    def _can_be_batched(self) -> bool:
        """Whether a batch can train the fit."""
        return not (self.nn is None or auto_parameters(self) or self._previous() is not None)

    def _fits_physics_alone(self) -> bool:
        """Whether the fit depends on the data, the physics and the structure alone."""
        return not (
            self.nn is not None
            or auto_parameters(self)
            or self._previous() is not None
            or getattr(self, "_skl_callbacks", [])
        )

    def _previous(self) -> Fitted | None:
        """Return the fit to continue from, or None."""
        return self._fitted if self.warm_start and hasattr(self, "_fitted") else None

    def __sklearn_is_fitted__(self):
        if not hasattr(self, "_fitted") and open_deferred_fits() is not None:
            raise NotTrainedYet
        return hasattr(self, "_fitted")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
