"""Train two hybrid models with sharpness-aware minimisation in skorch, to compare with skhybrid.

A careful user who knows scikit-learn, torch and skorch, and has no skhybrid, would write this code:
a net with two gradients per training step, a loader that slices tensors, and two small estimators
with parameters for a grid search. The steps are the same as in
``HybridRegressor(refine_rho=None, physics_init="given")``, for one physics and one network each.
``benchmarks/bench_search.py`` compares the time of a search over these estimators with a search
over skhybrid's.

- :class:`SkorchStatic`: the acceleration of a pendulum, from ``make_pendulum_acceleration``.
- :class:`SkorchWindows`: its trajectories, from ``make_pendulum``, in windows of two RK4 steps.

The file needs ``pip install skorch``; skhybrid itself does not.
"""

import functools
import math

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from skorch.callbacks import LRScheduler
from skorch.regressor import NeuralNetRegressor
from torch.nn.functional import linear, silu
from torch.optim.lr_scheduler import LambdaLR

# Learning rate of θ relative to the network's.
PHYSICS_RATE = 10.0
# Number of steps per window.
WINDOW = 2
TINY = 1e-12


class SharpnessAwareNet(NeuralNetRegressor):
    """A skorch net with SAM: it moves each weight matrix W uphill by ρ ‖W‖ for the gradient.

    The module must have a method ``weight_matrices()``. SAM does not perturb biases and physics
    parameters. The gradient of the penalty λ Σ‖W‖² is that at the unperturbed weights.
    """

    def __init__(self, *arguments, rho=0.05, l2=0.0, **options):
        super().__init__(*arguments, **options)
        self.rho = rho
        self.l2 = l2

    def on_train_begin(self, net, X=None, y=None, **options):
        """Set the training mode and the weight matrices once for all steps."""
        super().on_train_begin(net, X, y, **options)
        self._set_training(True)
        self.weights_ = self.module_.weight_matrices()

    def train_step(self, batch, **options):
        """Take one step of Adam: two passes through the model, or one pass if ρ = 0."""
        step = self.evaluate(batch)
        if self.rho > 0:
            saved = self.ascend(torch.autograd.grad(step["loss"], self.weights_))
            self.differentiate(self.evaluate(batch)["loss"])
            self.descend(saved)
        else:
            self.differentiate(step["loss"])
        if self.l2 > 0:
            for weight in self.weights_:
                weight.grad.add_(weight.detach(), alpha=2.0 * self.l2)
        self._step_optimizer(None)
        return step

    def evaluate(self, batch):
        """Return the loss of a minibatch and its prediction, as a step of skorch."""
        inputs, targets = batch
        prediction = self.infer(inputs)
        return {"loss": self.get_loss(prediction, targets, X=inputs), "y_pred": prediction}

    def differentiate(self, loss):
        """Set the gradients of all parameters to the gradient of the loss."""
        self._zero_grad_optimizer()
        loss.backward()

    @torch.no_grad()
    def ascend(self, gradients):
        """Move the weight matrices along their gradients; return their old values."""
        saved = [weight.clone() for weight in self.weights_]
        for weight, gradient in zip(self.weights_, gradients, strict=True):
            length = self.rho * torch.linalg.vector_norm(weight)
            weight.addcmul_(gradient, length / (torch.linalg.vector_norm(gradient) + TINY))
        return saved

    @torch.no_grad()
    def descend(self, saved):
        """Restore the old values of the weight matrices."""
        for weight, value in zip(self.weights_, saved, strict=True):
            weight.copy_(value)


class TensorLoader:
    """Minibatches as slices of tensors; torch's own loader fetches single rows."""

    def __init__(self, dataset, batch_size, shuffle=False):
        self.inputs = dataset.X
        self.targets = torch.zeros(len(dataset)) if dataset.y is None else dataset.y
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self):
        """Yield inputs and targets; the last minibatch has the remaining rows."""
        inputs, targets = self.inputs, self.targets
        if self.shuffle:
            order = torch.randperm(len(inputs))
            inputs, targets = inputs[order], targets[order]
        size = self.batch_size
        yield from zip(inputs.split(size), targets.split(size), strict=True)


class ScaledSquaredError(torch.nn.Module):
    """The mean squared error of targets that are scaled by their standard deviation."""

    def __init__(self, unit):
        super().__init__()
        self.register_buffer("unit", unit)

    def forward(self, prediction, target):
        """Return the loss."""
        return ((prediction - target) / self.unit).square().mean()


class HybridModule(torch.nn.Module):
    """Base of both models: θ = start · (1 + z), and a network that reads standardised states."""

    def __init__(self, n_outputs, omega2_start, mean, std, scale):
        super().__init__()
        self.omega2_start = omega2_start
        self.z = torch.nn.Parameter(torch.zeros(()))
        self.first = torch.nn.Linear(2, 64)
        self.second = torch.nn.Linear(64, 64)
        self.last = torch.nn.Linear(64, n_outputs)
        self.register_buffer("offset", -mean / std)
        self.register_buffer("factor", 1.0 / std)
        self.register_buffer("scale", scale)

    def weight_matrices(self):
        """Return the parameters that SAM perturbs."""
        return [layer.weight for layer in (self.first, self.second, self.last)]

    def omega2(self):
        """Return θ."""
        return self.omega2_start * (1.0 + self.z)

    def correction(self, state):
        """Return the output of the network, in the units of the term that it corrects.

        The code does not call the layers as modules; those calls cost six per cent of a step.
        """
        first, second, last = self.first, self.second, self.last
        hidden = torch.addcmul(self.offset, state, self.factor)
        hidden = silu(linear(hidden, first.weight, first.bias))
        hidden = silu(linear(hidden, second.weight, second.bias))
        return self.scale * linear(hidden, last.weight, last.bias)


class StaticModule(HybridModule):
    """Acceleration of a pendulum as a function of its state."""

    def forward(self, state):
        """Return accelerations of shape (n,)."""
        return self.correction(state).squeeze(-1) - self.omega2() * torch.sin(state[:, 0])


class RolloutModule(HybridModule):
    """Trajectories of a pendulum from their initial states."""

    def __init__(self, n_outputs, omega2_start, mean, std, scale, dt):
        super().__init__(n_outputs, omega2_start, mean, std, scale)
        self.dt = dt

    def forward(self, state, n_steps=WINDOW):
        """Return the states after each RK4 step, of shape (n, n_steps, 2)."""
        pull, path = -self.omega2(), []
        for _ in range(n_steps):
            first = self.rate(state, pull)
            second = self.rate(torch.add(state, first, alpha=self.dt / 2), pull)
            third = self.rate(torch.add(state, second, alpha=self.dt / 2), pull)
            fourth = self.rate(torch.add(state, third, alpha=self.dt), pull)
            slope = torch.add(first + fourth, second + third, alpha=2.0)
            state = torch.add(state, slope, alpha=self.dt / 6)
            path.append(state)
        return torch.stack(path, dim=1)

    def rate(self, state, pull):
        """Return the right-hand side of the differential equation; ``pull`` is -θ."""
        angle, velocity = state.unbind(-1)
        known = torch.stack([velocity, pull * torch.sin(angle)], dim=-1)
        return known + self.correction(state)


def half_cosine(step, n_steps):
    """Return the factor of the learning rates, which falls from one to zero."""
    return 0.5 * (1.0 + math.cos(math.pi * step / n_steps))


def as_tensor(values):
    """Return a tensor in single precision."""
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)


class SkorchHybrid(RegressorMixin, BaseEstimator):
    """Base of both estimators: their parameters, and the training of a module."""

    def __init__(
        self,
        *,
        rho=0.05,
        l2=0.0,
        max_epochs=600,
        batch_size=64,
        learning_rate=6e-3,
        omega2_start=1.0,
        random_state=None,
    ):
        self.rho = rho
        self.l2 = l2
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.omega2_start = omega2_start
        self.random_state = random_state

    def train(self, module, inputs, targets, unit, **module_options):
        """Fit a net to tensors with errors in units of ``unit``; store the net and ω²."""
        torch.set_num_threads(1)
        n_steps = self.max_epochs * math.ceil(len(inputs) / self.batch_size)
        self.net_ = SharpnessAwareNet(
            module,
            **{f"module__{name}": value for name, value in module_options.items()},
            module__omega2_start=self.omega2_start,
            rho=self.rho,
            l2=self.l2,
            criterion=ScaledSquaredError,
            criterion__unit=unit,
            optimizer=torch.optim.Adam,
            optimizer__fused=True,
            optimizer__param_groups=[("z", {"lr": PHYSICS_RATE * self.learning_rate})],
            lr=self.learning_rate,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            iterator_train=TensorLoader,
            iterator_train__shuffle=True,
            iterator_valid=TensorLoader,
            iterator_valid__batch_size=-1,
            train_split=None,
            callbacks=[
                (
                    "decay",
                    LRScheduler(
                        LambdaLR,
                        lr_lambda=functools.partial(half_cosine, n_steps=n_steps),
                        step_every="batch",
                        event_name=None,
                    ),
                )
            ],
            callbacks__print_log=None,
            callbacks__train_loss=None,
            callbacks__valid_loss=None,
            verbose=0,
        )
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net_.fit(inputs, targets)
        self.omega2_ = self.net_.module_.omega2().item()
        return self


class SkorchStatic(SkorchHybrid):
    """Hybrid of -θ sin(angle) and a network, for rows of angle and velocity."""

    def fit(self, X, y):
        """Fit to X of shape (n, 2) and y of shape (n,)."""
        X, y = as_tensor(X), as_tensor(y)
        scale = y.std(correction=0)
        std = X.std(0, correction=0)
        return self.train(
            StaticModule, X, y, scale, n_outputs=1, mean=X.mean(0), std=std, scale=scale
        )

    def predict(self, X):
        """Return predictions of shape (n,)."""
        return self.net_.predict(as_tensor(X))


class SkorchWindows(SkorchHybrid):
    """Hybrid of [velocity, -θ sin(angle)] and a network, for trajectories observed every ``dt``."""

    def __init__(
        self,
        dt,
        *,
        rho=0.05,
        l2=0.0,
        max_epochs=65,
        batch_size=64,
        learning_rate=6e-3,
        omega2_start=1.0,
        random_state=None,
    ):
        super().__init__(
            rho=rho,
            l2=l2,
            max_epochs=max_epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            omega2_start=omega2_start,
            random_state=random_state,
        )
        self.dt = dt

    def fit(self, X, y):
        """Fit to initial states of shape (n, 2) and later states of shape (n, n_times, 2)."""
        X, y = as_tensor(X), as_tensor(y)
        states = torch.cat([X[:, None], y], dim=1)
        rates = states.diff(dim=1) / self.dt
        windows = states.unfold(1, WINDOW + 1, 1).movedim(-1, 2).flatten(0, 1)
        std = states.std(dim=(0, 1), correction=0)
        self.n_times_ = y.shape[1]
        return self.train(
            RolloutModule,
            windows[:, 0].contiguous(),
            windows[:, 1:].contiguous(),
            std,
            n_outputs=2,
            mean=states.mean(dim=(0, 1)),
            std=std,
            scale=rates.square().mean(dim=(0, 1)).sqrt(),
            dt=self.dt,
        )

    def predict(self, X):
        """Return whole trajectories of shape (n, n_times, 2)."""
        with torch.no_grad():
            return self.net_.module_(as_tensor(X), self.n_times_).numpy()

    def score(self, X, y):
        """Return the negative mean squared error of whole trajectories."""
        return -float(np.mean((self.predict(X) - y) ** 2))
