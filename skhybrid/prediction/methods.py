"""Predictions of a fitted HybridRegressor: the target, its parts, parameters and rates."""

from __future__ import annotations

from sklearn.utils.validation import check_is_fitted

from skhybrid.prediction.evaluate import evaluate
from skhybrid.prediction.outside import find_outside
from skhybrid.prediction.rates import predict_rates
from skhybrid.prediction.scores import score_table, score_trajectories
from skhybrid.runtime.threads import threads


class PredictionMethods:
    """Methods of :class:`~skhybrid.HybridRegressor` that read a fitted model."""

    def predict(
        self, X, *, times=None, initial_states=None, first_outputs=None, return_outside=False
    ):
        """Predict the target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; for an :class:`~skhybrid.ODE`, initial states or inputs over time.
        times : array-like of shape (n_times,) or list of array-like, default=None
            For an ODE whose X holds initial states: times of the prediction, or a list with those
            of each trajectory, as for :class:`~skhybrid.ODE`. If training had the time of each
            initial state in its lists, the lists here begin with it, too. None is the training
            times; if these differ between trajectories, X must hold as many.
        initial_states : array-like of shape (n_samples, n_states), default=None
            For an ODE whose X holds inputs: initial states of the trajectories. They may leave out
            free states, which then begin at their mean in training.
        first_outputs : array-like of shape (n_samples, n_first, n_outputs), default=None
            For an ODE: outputs at the first times, which give the initial states. If X holds inputs
            and neither is given, trajectories begin at the columns of ``ODE(initial_state=[...])``
            or, where these are unknown, at the mean initial state of the training trajectories.
        return_outside : bool, default=False
            Whether to tell which rows lie outside of the training range, and how far.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            In the target's units. For an ODE, whole rollouts in the shape of the training targets;
            for trajectories of different lengths, a list of arrays.
        outside : Outside
            Only with ``return_outside=True``. ``outside.rows`` flags the rows with a feature
            outside of its training range; there the physics extrapolates, and the network is held
            at the edge (``nn_extrapolation="hold"``). ``outside.frame`` tells how far each feature
            is outside, in its standard deviations in training, below zero on the lower side;
            ``outside.beyond`` in its own unit. For an ODE, a trajectory is flagged if a state (or,
            of hidden states, an output) or an input leaves the training range, widened by a tenth,
            at any predicted time.
        """
        given = {"times": times, "initial_states": initial_states, "first_outputs": first_outputs}
        (prediction,) = evaluate(
            self, X, lambda model, x, z, hold: (model(x, z, hold=hold),), **given
        )
        if return_outside:
            return prediction, find_outside(self, X, prediction, **given)
        return prediction

    def score(self, X, y, sample_weight=None):
        """Return the coefficient of determination R² of the prediction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            With ``missing_targets="mask"``, NaN does not count, target by target. For an
            :class:`~skhybrid.ODE`, all times and all points of a field count as rows; missing
            values do not. Unknown initial states are estimated from the first ``n_initial``
            outputs, which do not count.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
            Mean of R² over the targets with two known values or more; NaN if there are none, with
            an ``UndefinedMetricWarning``.

        Raises
        ------
        ValueError
            If the y of a table contains NaN without ``missing_targets="mask"``.
        """
        check_is_fitted(self)
        if self._fitted.trajectory_info is None:
            return score_table(self, X, y, sample_weight)
        with threads(self.n_threads):
            return score_trajectories(self, X, y, sample_weight)

    def predict_parts(self, X, *, times=None, initial_states=None, first_outputs=None):
        """Predict the contribution of each part of the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        times, initial_states, first_outputs
            As for :meth:`predict`.

        Returns
        -------
        physics : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Prediction of the physics alone. With ``physics=None``, the mean of the training target.
            Parameters that are functions of features have their mean over the training rows, as in
            :meth:`summary`, and those with a value for each group their common value.
        nn : ndarray of the same shape
            The prediction minus the physics' part, for every structure: what the network adds,
            through a correction, or as functions and values of groups. For an ODE, the rollout of
            the whole model minus the rollout of the physics alone.
        """
        given = {"times": times, "initial_states": initial_states, "first_outputs": first_outputs}
        check_is_fitted(self)
        means = self._fitted.function_means
        physics, prediction = evaluate(
            self,
            X,
            lambda model, x, z, hold: (model.physics_part(x, z, means), model(x, z, hold=hold)),
            **given,
        )
        if isinstance(physics, list):
            return physics, [whole - part for whole, part in zip(prediction, physics, strict=True)]
        return physics, prediction - physics

    def predict_params(self, X, *, times=None, initial_states=None, first_outputs=None):
        """Return the value of every physics parameter for every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        times, initial_states, first_outputs
            As for :meth:`predict`.

        Returns
        -------
        params : dict of str to ndarray of shape (n_samples, ...)
            In your units. Parameters with ``depends_on`` or ``per`` vary from row to row; the
            others repeat their value. For an ODE, values along the rollout, with an axis for the
            times of the prediction after that of the samples. In a field, parameters that vary have
            the spatial axes last.
        """
        given = {"times": times, "initial_states": initial_states, "first_outputs": first_outputs}
        check_is_fitted(self)
        info = self._fitted.trajectory_info
        scalar = info is not None and info.scalar

        def values(model, x, z, hold):
            found = model.parameters_of(x, z, hold=hold).values()
            return tuple(each[..., None] if scalar else each for each in found)

        names = self._fitted.hybrid.space.names
        if not names:
            return {}
        return dict(zip(names, evaluate(self, X, values, **given), strict=True))

    def predict_rates(self, states, *, times=0.0, inputs=None):
        """Return the rates that each part of an ODE's right-hand side gives for states.

        Parameters
        ----------
        states : array-like of shape (n, n_states) or (n, n_channels, ...)
        times : float or array-like of shape (n,), default=0.0
        inputs : array-like of shape (n, n_inputs), default=None
            Needed if the model was fitted with inputs; without the column of times.

        Returns
        -------
        physics : ndarray of the shape of states
            f_S, in units of the states per unit of time.
        nn : ndarray of the shape of states
            What the network adds to it.
        """
        check_is_fitted(self)
        if self._fitted.trajectory_info is None:
            raise ValueError(
                f"predict_rates is for models with structure=ODE(...); this one's is "
                f"{self.structure!r}."
            )
        with threads(self.n_threads):
            return predict_rates(self, states, times, inputs)
