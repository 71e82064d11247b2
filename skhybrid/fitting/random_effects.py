"""Standard deviations between groups, from a linear model with a random effect of each group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_ITERATIONS = 500
TOLERANCE = 1e-4
# A standard deviation between groups is at least this part of its start.
LEAST = 1e-4


@dataclass(frozen=True)
class RandomEffects:
    """Variances of a linear model with random effects.

    Attributes
    ----------
    spreads : array of shape (n_effects,)
        Standard deviation of each effect between groups.
    noise : float
        Variance of the residuals within groups.
    common : array of shape (n_common,)
        Estimate of δ.
    means : array of shape (n_groups, n_effects)
        Predictions of the effects, shrunk towards zero; zero for a group without residuals.
    """

    spreads: np.ndarray
    noise: float
    common: np.ndarray
    means: np.ndarray


def estimate_spreads(
    residuals: np.ndarray,
    common: np.ndarray,
    effects: np.ndarray,
    groups: np.ndarray,
    start: np.ndarray,
    known: np.ndarray,
    n_groups: int,
) -> RandomEffects:
    """Estimate the standard deviations between groups by restricted maximum likelihood.

    The model of the residuals is r = X δ + Z a + noise, with δ common to all groups, and effects a
    of each group that are Gaussian with mean zero. The iteration is that of expectation and
    maximisation (Laird and Ware, "Random-effects models for longitudinal data", Biometrics 1982).

    Parameters
    ----------
    residuals : array of shape (n,)
    common : array of shape (n, n_common)
        X.
    effects : array of shape (n, n_effects)
        Z.
    groups : array of int, shape (n,)
        Number of the group of each residual.
    start : array of shape (n_effects,)
        Standard deviations to begin with.
    known : array of bool, shape (n_effects,)
        Which of them are known and stay.
    n_groups : int
        Number of groups, of which some may have no residual.
    """
    stacked = np.concatenate([effects, common, residuals[:, None]], axis=1)
    products = np.zeros((n_groups, stacked.shape[1], stacked.shape[1]))
    for group in range(n_groups):
        own = stacked[groups == group]
        products[group] = own.T @ own
    n_effects, n_common = effects.shape[1], common.shape[1]
    zz = products[:, :n_effects, :n_effects]
    zx = products[:, :n_effects, n_effects:-1]
    zr = products[:, :n_effects, -1]
    xx, xr = products[:, n_effects:-1, n_effects:-1], products[:, n_effects:-1, -1]
    rr = float(products[:, -1, -1].sum())
    variances, noise = np.square(start), rr / len(residuals)
    present = np.flatnonzero(np.diagonal(products, axis1=1, axis2=2).any(axis=1))
    zz, zx, zr, xx, xr = (each[present] for each in (zz, zx, zr, xx, xr))
    tiny = np.finfo(float).tiny
    for _ in range(MAX_ITERATIONS):
        noise = max(noise, tiny)
        inner = np.linalg.inv(zz + np.diag(noise / variances))
        left = np.swapaxes(zx, 1, 2) @ inner
        inverse = np.linalg.pinv((xx - left @ zx).sum(axis=0), hermitian=True)
        shift = inverse @ (xr - (left @ zr[..., None])[..., 0]).sum(axis=0)
        means = (inner @ (zr - zx @ shift)[..., None])[..., 0]
        spread = np.swapaxes(left, 1, 2)
        covariances = noise * (inner + spread @ inverse @ left)
        diagonal = np.diagonal(covariances, axis1=1, axis2=2)
        # The sum of squares that is left, and the degrees of freedom that were used.
        left_over = (
            rr
            - 2.0 * (shift @ xr.sum(axis=0) + np.sum(means * zr))
            + shift @ xx.sum(axis=0) @ shift
            + 2.0 * np.sum(means * (zx @ shift))
            + np.einsum("gi,gij,gj->", means, zz, means)
        )
        rank = np.linalg.matrix_rank(inverse, hermitian=True) if n_common else 0
        used = rank + len(present) * n_effects - float((diagonal / variances).sum())
        new_noise = max(left_over, 0.0) / max(len(residuals) - used, 1.0)
        updated = np.square(means).mean(axis=0) + diagonal.mean(axis=0)
        updated = np.where(known, variances, np.maximum(updated, np.square(LEAST * start)))
        change = np.abs(np.log(updated / variances)).max()
        change = max(change, abs(np.log(max(new_noise, tiny) / noise)))
        variances, noise = updated, new_noise
        if change < TOLERANCE:
            break
    by_group = np.zeros((n_groups, n_effects))
    by_group[present] = means
    return RandomEffects(np.sqrt(variances), float(noise), shift, by_group)
