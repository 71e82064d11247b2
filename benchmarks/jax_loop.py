"""The same hybrids as in bench_jax.py in JAX, with the whole training loop compiled."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

WIDTH, TINY = 64, 1e-12


def start(n_inputs, n_outputs, n_fits):
    """Return z, and weight and bias of every layer, with a leading axis for the fits."""
    rng = np.random.default_rng(0)
    sizes = [n_inputs, WIDTH, WIDTH, n_outputs]
    layers = []
    for before, after in itertools.pairwise(sizes):
        limit = 1.0 / math.sqrt(before)
        weight = rng.uniform(-limit, limit, (n_fits, after, before))
        layers.append((jnp.array(weight, jnp.float32), jnp.zeros((n_fits, after))))
    return jnp.zeros(n_fits), layers


def network(layers, x):
    """Evaluate a perceptron with SiLU activations."""
    for weight, bias in layers[:-1]:
        x = jax.nn.silu(x @ weight.T + bias)
    weight, bias = layers[-1]
    return x @ weight.T + bias


def table_loss(X, y):
    """Return the loss of a minibatch of the pendulum's accelerations, for given rows."""
    mean, std, scale = X.mean(0), X.std(0), y.std()

    def loss(parameters, rows):
        z, layers = parameters
        x = jnp.asarray(X)[rows]
        correction = network(layers, (x - mean) / std)[:, 0]
        error = -(1.0 + z) * jnp.sin(x[:, 0]) + scale * correction - jnp.asarray(y)[rows]
        return jnp.mean((error / scale) ** 2)

    return loss


def windows_loss(first, later, dt, omega2):
    """Return the loss of a minibatch of windows, by RK4 with one step between observations."""
    mean, std, scale = first.mean(0), first.std(0), later.std((0, 1))
    rate_scale = ((later[:, 0] - first) / dt).std(0)

    def loss(parameters, rows):
        z, layers = parameters

        def rate(state):
            known = jnp.stack([state[:, 1], -omega2 * (1 + z) * jnp.sin(state[:, 0])], 1)
            return known + rate_scale * network(layers, (state - mean) / std)

        state, path = jnp.asarray(first)[rows], []
        for _ in range(later.shape[1]):
            k1 = rate(state)
            k2 = rate(state + 0.5 * dt * k1)
            k3 = rate(state + 0.5 * dt * k2)
            k4 = rate(state + dt * k3)
            state = state + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
            path.append(state)
        error = jnp.stack(path, 1) - jnp.asarray(later)[rows]
        return jnp.mean((error / scale) ** 2)

    return loss


def training(loss, n_rows, n_steps, batch_size, rho, rate):
    """Return the compiled training of fits side by side: SAM per layer, Adam, a half cosine.

    The function maps the start, with a leading axis for the fits, to the end and the losses.
    """
    n_batches = math.ceil(n_rows / batch_size)
    size = n_rows // n_batches
    rng = np.random.default_rng(0)
    orders = [rng.permutation(n_rows)[: n_batches * size] for _ in range(-(-n_steps // n_batches))]
    rows = jnp.array(np.concatenate(orders).reshape(-1, size)[:n_steps])
    gradient = jax.value_and_grad(loss)

    def step(state, given):
        parameters, mean, square = state
        batch, number = given
        value, (_, of_layers) = gradient(parameters, batch)
        z, layers = parameters
        moved = [
            (w + g * (rho * jnp.linalg.norm(w) / (jnp.linalg.norm(g) + TINY)), b)
            for (w, b), (g, _) in zip(layers, of_layers, strict=True)
        ]
        _, found = gradient((z, moved), batch)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, found)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, found)
        decay = 0.5 * (1.0 + jnp.cos(jnp.pi * number / n_steps))
        mean_factor, square_factor = 1.0 - 0.9 ** (number + 1.0), 1.0 - 0.999 ** (number + 1.0)

        def moved_by_adam(p, m, v, own_rate):
            return p - decay * own_rate * (m / mean_factor) / (jnp.sqrt(v / square_factor) + 1e-8)

        rates = (10.0 * rate, jax.tree.map(lambda _: rate, layers))
        return (jax.tree.map(moved_by_adam, parameters, mean, square, rates), mean, square), value

    def one(parameters):
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        state = (parameters, zeros, zeros)
        (end, _, _), losses = jax.lax.scan(step, state, (rows, jnp.arange(float(n_steps))))
        return end, losses

    return jax.jit(jax.vmap(one))
