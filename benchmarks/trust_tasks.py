"""Random tasks with known parameters, for the benchmark of verdicts and intervals.

Static tasks have three features, which may be correlated, and physics with one to three
parameters: k · g(a), plus m · h(c), plus n · a · c; or p · q · g(a), a product that no data can
tell apart. The missing term is in another feature, in an interaction, overlaps the physics with a
known correlation, or is nothing. The network sees all features, or only those that the physics does
not read. Dynamic tasks are oscillators, x'' = -k g(x), without their damping; the network sees
position and velocity, or velocity alone.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from random_tasks import EFFECTS, SHAPES
from scipy.integrate import solve_ivp

from skhybrid import ODE, Physics

KINDS = ("another feature", "interaction", "overlap", "nothing", "product")
N_STATIC, N_DYNAMIC = 200, 20


@dataclass
class TrustTask:
    """Rows, physics, what the network sees, and the truth.

    ``correlation`` is the uncentred cosine between the missing term and each effect, less what the
    other effects explain of it. ``overlap`` is the same for centred terms and effects: a network
    can give a constant.
    """

    name: str
    kind: str
    X: np.ndarray
    y: np.ndarray
    physics: Physics
    truth: dict
    nn_features: list | None
    structure: object = "additive"
    correlation: dict = field(default_factory=dict)
    overlap: dict = field(default_factory=dict)
    identifiable: bool = True


def effect(name, u):
    """Return one of the known effects of an array."""
    return EFFECTS[name](torch.from_numpy(u)).numpy()


def draw_features(rng, n_rows, correlated):
    """Return three features between -2 and 2; a and b may be correlated."""
    X = rng.uniform(-2, 2, (n_rows, 3))
    if correlated:
        X[:, 1] = 0.6 * X[:, 0] + 0.8 * X[:, 1]
    return X


def make_physics(first, second, n_params, product):
    """Return the physics for one to three parameters, or for a product."""
    g, h = EFFECTS[first], EFFECTS[second]
    if product:
        return Physics(lambda a, b, c, *, p=1.0, q=1.5: p * q * g(a))
    if n_params == 1:
        return Physics(lambda a, b, c, *, k=1.0: k * g(a))
    if n_params == 2:
        return Physics(lambda a, b, c, *, k=1.0, m=1.0: k * g(a) + m * h(c))
    return Physics(lambda a, b, c, *, k=1.0, m=1.0, n=0.5: k * g(a) + m * h(c) + n * a * c)


def static_task(number):
    """Return the static task of a number."""
    rng = np.random.default_rng([number, 13])
    kind = KINDS[number % 4] if number % 10 else "product"
    n_params = int(rng.integers(1, 4))
    first, second = rng.choice(list(EFFECTS), 2)
    shape = SHAPES[rng.choice(list(SHAPES))]
    n_rows = round(np.exp(rng.uniform(np.log(150), np.log(1000))))
    noise = 0.0 if rng.uniform() < 0.2 else rng.uniform(0.01, 0.2)
    share, correlated = rng.uniform(0.3, 1.0), rng.uniform() < 0.4
    restricted = rng.uniform() < 0.5
    X = draw_features(rng, n_rows, correlated)
    a, b, c = X.T
    effects = {"k": effect(first, a), "m": effect(second, c), "n": a * c}
    truth = dict(zip(effects, rng.uniform(0.5, 3.0, 3), strict=True))
    names = ["k", "m", "n"][:n_params]
    if kind == "product":
        names = ["k"]
    known = sum(truth[name] * effects[name] for name in names)
    missing = {"interaction": shape(a * b / 2)}.get(kind, shape(b))
    S = np.stack([effects[name] for name in names], axis=1)
    if kind == "overlap":
        own = S[:, 0] - projected(S[:, 1:], S[:, 0])
        rest = missing - projected(S, missing)
        r = rng.choice([0.1, 0.3, 0.5])
        missing = r * own / norm(own) + np.sqrt(1 - r**2) * rest / norm(rest)
    missing = share * known.std() * missing / missing.std()
    if kind == "nothing":
        missing = 0.0 * b
    y = known + missing
    y = y + noise * y.std() * rng.standard_normal(n_rows)
    correlation, overlap = {}, {}
    for j, name in enumerate(names):
        others = np.delete(S, j, axis=1)
        own = S[:, j] - projected(others, S[:, j])
        others = np.column_stack([others, np.ones(n_rows)])
        centred = S[:, j] - projected(others, S[:, j])
        correlation[name] = 0.0 if kind == "nothing" else cosine(own, missing)
        overlap[name] = 0.0 if kind == "nothing" else cosine(centred, missing - missing.mean())
    # An interaction and an overlap need a; a network without it cannot describe them.
    free = [1] if n_params > 1 else [1, 2]
    seen = free if restricted and kind not in ("interaction", "overlap") else None
    truth = {name: float(truth[name]) for name in names}
    if kind == "product":
        truth, correlation, overlap = {"p": np.nan, "q": np.nan}, {}, {}
    name = f"{number:03d} {kind}, {len(names)} parameters, {n_rows} rows, noise {noise:.2f}"
    name += (", correlated" if correlated else "") + (", sees some" if seen else "")
    physics = make_physics(first, second, n_params, kind == "product")
    return TrustTask(
        name, kind, X, y, physics, truth, seen, "additive", correlation, overlap, kind != "product"
    )


def dynamic_task(number):
    """Return the dynamic task of a number: an oscillator without its damping."""
    rng = np.random.default_rng([number, 29])
    shape = ("sine", "line")[number % 2]
    kind = ("another feature", "overlap")[number // 2 % 2]
    seen = [1] if kind == "another feature" and rng.uniform() < 0.5 else None
    k, damping = rng.uniform(0.7, 2.0), rng.uniform(0.1, 0.4)
    overlap = rng.uniform(0.05, 0.2) if kind == "overlap" else 0.0
    noise, dt, n_times = rng.uniform(0.0, 0.02), 0.2, 30
    g = EFFECTS[shape]

    def rates(t, state):
        x, v = state
        return [v, -k * effect(shape, np.asarray(x)) - damping * v * abs(v) - overlap * x**3]

    first = rng.uniform([-2.0, -1.0], [2.0, 1.0], (12, 2))
    times = dt * np.arange(1, n_times + 1)
    y = np.stack(
        [solve_ivp(rates, (0, times[-1]), x, t_eval=times, rtol=1e-9, atol=1e-9).y.T for x in first]
    )
    y = y + noise * y.std(axis=(0, 1)) * rng.standard_normal(y.shape)

    def oscillator(t, state, *, k=1.0):
        x, v = state.unbind(-1)
        return torch.stack([v, -k * g(x)], -1)

    name = f"{N_STATIC + number:03d} oscillator, {shape}, {kind}, noise {noise:.3f}"
    name += ", sees velocity" if seen else ""
    truth, structure = {"k": k}, ODE(dt=dt)
    return TrustTask(
        name, kind, first, y, Physics(oscillator), truth, seen, structure, {"k": np.nan}, {}
    )


def draw_trust_task(number):
    """Return the task of a number: static ones first, then dynamic ones."""
    return static_task(number) if number < N_STATIC else dynamic_task(number - N_STATIC)


def norm(u):
    """Return the Euclidean norm."""
    return np.sqrt(np.sum(u**2))


def projected(S, u):
    """Return the projection of u onto the columns of S."""
    if not S.shape[1]:
        return np.zeros_like(u)
    return S @ np.linalg.lstsq(S, u, rcond=None)[0]


def cosine(u, v):
    """Return the uncentred cosine."""
    return float(abs(u @ v) / norm(u) / norm(v))
