"""The right-hand side for given outputs of the network, stage by stage and for all stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from skhybrid.model.stages_differ import StagesDiffer


class QuickRates:
    """The right-hand side, with what is the same in all stages of an interval computed once.

    Parameters
    ----------
    model : Dynamics
    coordinates : mapping of str to Tensor
        Scaled physics parameters.
    """

    def __init__(self, model: Any, coordinates: Mapping[str, Tensor]) -> None:
        self._model, scales = model, model.scales
        self._answers = GivenAnswers(model)
        self._physics = model.bind_physics(model.space.values(coordinates), self._answers)
        self._rate = model.rate(self._physics, self._answers)
        self._at_zero: Tensor | None = None
        same_for_rows = scales.feature_factor.ndim == 1
        varies = model.reads_time or (model.layout.n_inputs and model.structure.inputs == "linear")
        self._factors = self._units = None
        if same_for_rows and not varies:
            self._factors = (model.read_states * scales.feature_factor[:, None]).T
        if same_for_rows and model.adds_correction:
            one = torch.eye(model.n_network_outputs, dtype=scales.rate_scale.dtype)
            one = one.to(scales.rate_scale.device)
            self._units = model.as_rates(one, one.new_empty(len(one), *model.layout.state_shape))
            self._units = self._units * model.network_unit

    def enter_interval(self, t: Tensor, state: Tensor, inputs: Tensor | None) -> None:
        """Note what the network sees at a state of zero."""
        if self._factors is not None:
            self._at_zero = self._model.network_inputs(t, torch.zeros_like(state), inputs)

    def network_inputs(self, rows: tuple) -> Tensor:
        """Return the standardised inputs of the network."""
        if self._factors is None:
            return self._model.network_inputs(*rows)
        return torch.addmm(self._at_zero, rows[1], self._factors)

    def rate(self, outputs: Tensor, rows: tuple) -> Tensor:
        """Return the rates of change, for these outputs of the network."""
        if self._units is not None:
            return torch.addmm(self._physics(*rows), outputs, self._units)
        self._answers.give(outputs, rows)
        return self._rate(*rows)


class GivenAnswers:
    """Given outputs at given rows in place of a bound network.

    Outputs are corrections, then answers for parameters.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def give(self, outputs: Tensor, rows: tuple[Tensor | None, ...]) -> None:
        """Answer these outputs from now on, if the network is asked at these rows."""
        self._outputs, self._rows = outputs, rows

    def __call__(self, *rows: Tensor | None, scale: float | Tensor | None = None) -> Tensor:
        """Return the corrections, in the network's unit or in that of ``scale``.

        Raises
        ------
        StagesDiffer
            If the rows are not the given tensors themselves: a ``join`` may change some of them
            only now and then.
        """
        self._require_given(rows)
        model, given = self._model, self._outputs
        if model.parts is not None:
            given = given[:, : model.n_network_outputs]
        output = model._checked_output(given, *rows)
        return output * (model.network_unit if scale is None else scale)

    def answers(self, *rows: Tensor | None) -> dict[str, Tensor]:
        """Return the answers for varying parameters, of shape (*shape, n).

        Raises
        ------
        StagesDiffer
            If the rows are not the given ones.
        """
        self._require_given(rows)
        model, found = self._model, {}
        shapes = dict(model.parts.shapes)
        at = model.n_network_outputs if model.has_correction else 0
        for _, names in model.parts.groups:
            for name in names:
                shape = torch.Size(shapes[name])
                answer = self._outputs[:, at : at + shape.numel()]
                found[name] = answer.movedim(1, 0).reshape(*shape, -1)
                at += shape.numel()
        return found

    def _require_given(self, rows: tuple[Tensor | None, ...]) -> None:
        """Raise a StagesDiffer if these are not the given rows themselves."""
        same = (one is other for one, other in zip(rows, self._rows, strict=False))
        if len(rows) != len(self._rows) or not all(same):
            raise StagesDiffer("The network is asked for outputs at other rows than the physics.")
