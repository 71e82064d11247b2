"""Losses and gradients of tables without autograd for the network.

Autograd is left for the physics alone, which does not change between the two passes of a step.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.networks import MultilayerPerceptron
from skhybrid.model.perceptron_pass import PerceptronPass
from skhybrid.model.structures import additive, multiplicative, serial
from skhybrid.training.losses import SQUARED_ERROR, Loss
from skhybrid.training.members import BIAS, PHYSICS, Members, gradients
from skhybrid.training.members_as_rows import MembersAsRows

JOINS = (additive, multiplicative, serial)


class DirectGradient:
    """The loss of every member on a minibatch, and its gradient, for tables.

    Errors are in units of the target's standard deviation.

    Parameters
    ----------
    hybrid : Hybrid
        A model for which :meth:`possible` is True.
    members : Members
    as_rows : MembersAsRows or None
        Gives the rows of all members as one batch; None is for a single member.
    loss : Loss, default=Loss()
        What an error costs.
    """

    def __init__(
        self,
        hybrid: Hybrid,
        members: Members,
        as_rows: MembersAsRows | None,
        loss: Loss = SQUARED_ERROR,
    ) -> None:
        self._loss = loss
        self._hybrid = hybrid
        self._members = members
        self._as_rows = as_rows
        self._structure = hybrid.structure
        self._inverse_scale = 1.0 / hybrid.scales.target_scale
        self._network = PerceptronPass(
            hybrid.network.layers(members.weights),
            hybrid.network.layers({name: members.gradient_of(name) for name in members.weights}),
        )
        self._coordinates = members.coordinates
        self._leaves = [*members.coordinates.values()]
        self._of_leaves = [members.gradient_of(name) for name in members.coordinates]

    @staticmethod
    def possible(hybrid: Hybrid, members: Members) -> bool:
        """Whether this is a table's model with one of our structures and our trained perceptron."""
        return (
            type(hybrid) is Hybrid
            and hybrid.structure in JOINS
            and type(hybrid.network) is MultilayerPerceptron
            and all(name in members.weights for name, _ in hybrid.network.named_parameters())
        )

    def __call__(
        self,
        batch: Batch,
        roles: Collection[str],
        *,
        again: bool = False,
        learns_physics: bool = True,
    ) -> Tensor:
        """Write the gradients of the blocks of these roles, at least; return the losses.

        Parameters
        ----------
        batch : Batch
            Its weights have the shape of y, or a leading member axis for several members.
        roles : collection of str
        again : bool, default=False
            Whether the minibatch and the physics parameters are those of the last call. The physics
            is then not evaluated again; this call may be the only one with the physics' role.
        learns_physics : bool, default=True
            Whether a call for this minibatch may ask for gradients of the physics parameters.
        """
        if not again:
            self._evaluate_physics(batch, learns_physics=learns_physics)
        with torch.no_grad():
            outputs = self._network.forward(self._inputs)
            correction = outputs.view(self._residual.shape)
            if self._structure is multiplicative:
                error = torch.addcmul(self._residual, correction, self._physics)
            else:
                error = self._residual + correction
            if self._loss.is_squared:
                of_error = error * self._twice_weight
            else:
                losses, of_error = self._robust(error)
            of_output = of_error
            if self._structure is multiplicative:
                of_output = of_error * self._physics
            writes_physics = PHYSICS in roles and self._known.requires_grad
            of_inputs = self._network.backward(
                of_output.reshape(outputs.shape),
                biases=BIAS in roles,
                inputs=writes_physics and self._structure is serial,
            )
            if self._loss.is_squared:
                losses = self._halved_product(error, of_error)
        if writes_physics:
            self._write_physics_gradient(of_error, correction, of_inputs)
        elif PHYSICS in roles:  # the physics may use θ in some minibatches only
            for target in self._of_leaves:
                target.zero_()
        self._members.clear_stopped()
        return losses

    def _evaluate_physics(self, batch: Batch, *, learns_physics: bool) -> None:
        """Evaluate everything that does not depend on the network."""
        x, y, weight = batch
        model, inverse_scale = self._hybrid, self._inverse_scale
        if self._as_rows is not None:
            x, model = self._as_rows.rows_and_model(x, y)
        with torch.set_grad_enabled(learns_physics):
            known = model.bind_physics(model.space.values(self._coordinates))(x)
        with torch.no_grad():
            extra = (known,) if self._structure is serial else ()
            inputs = model.network_inputs(x, *extra)
            physics, n_targets = known.detach(), y.numel()
            if self._as_rows is not None:
                physics = physics.unflatten(0, (self._as_rows.n_members, -1))
                inputs = inputs.unflatten(0, (self._as_rows.n_members, -1))
                inverse_scale = self._as_rows.inverse_unit(physics)
                n_targets = physics[0].numel()
            self._residual = (physics - y) * inverse_scale
            if self._structure is multiplicative:
                self._physics = physics * inverse_scale
            self._weight, factor = weight, 2.0 / n_targets
            self._twice_weight = factor if weight is None else weight * factor
        self._known, self._inputs, self._model = known, inputs, model
        self._unit = inverse_scale

    def _robust(self, error: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses, and their derivatives by the errors."""
        n_leading = 0 if self._as_rows is None else 1
        shape = self._inverse_scale.shape if self._as_rows is None else self._as_rows.unit_shape
        spread = self._loss.spread(error, self._weight, shape, n_leading)
        slopes = self._loss.slopes(error, spread) * (0.5 * self._twice_weight)
        costs = self._loss.costs(error, spread) * (0.5 * self._twice_weight)
        return costs.flatten(n_leading).sum(dim=-1), slopes

    def _halved_product(self, error: Tensor, of_error: Tensor) -> Tensor:
        """Return half the inner product for every member, which is the mean weighted square."""
        if self._as_rows is None:
            return torch.dot(error.reshape(-1), of_error.reshape(-1)) * 0.5
        return (error * of_error).flatten(1).sum(dim=1) * 0.5

    def _write_physics_gradient(
        self, of_error: Tensor, correction: Tensor, of_inputs: Tensor | None
    ) -> None:
        """Write the gradients of the physics parameters, from those of the errors."""
        with torch.no_grad():
            of_known = of_error * self._unit
            if self._structure is multiplicative:
                of_known = torch.addcmul(of_known, of_known, correction)
            of_known = of_known.reshape(self._known.shape)
            if of_inputs is not None:
                n_known = max(1, self._known[0].numel())
                of_extra = of_inputs.flatten(0, -2)[:, -n_known:]
                factor = self._model.scales.feature_factor[..., -n_known:]
                of_known = of_known + (of_extra * factor).reshape(of_known.shape)
        found = gradients(self._known, self._leaves, of_known)
        with torch.no_grad():
            for target, gradient in zip(self._of_leaves, found, strict=True):
                target.copy_(gradient.view_as(target))
