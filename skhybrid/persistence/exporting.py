"""Export a prediction as a program that runs without skhybrid."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.export import ExportedProgram

from skhybrid._regressor import HybridRegressor
from skhybrid.exceptions import ExportError
from skhybrid.persistence.model_state import PARTS, model_state, restored_model
from skhybrid.persistence.program import make_program
from skhybrid.persistence.saving import _path, _require_hybrid
from skhybrid.runtime.atomic_files import write_atomically
from skhybrid.runtime.threads import threads

# A program may differ from ``predict`` by this part of the target's standard deviation, and of
# predictions beyond it.
TOLERANCE = 1e-4
FORMATS = ("torch", "onnx")

Run = Callable[[tuple[Tensor, ...]], np.ndarray]


def export(
    model: HybridRegressor,
    path: str | os.PathLike,
    *,
    format: str = "torch",
    example: Any = None,
    times: Any = None,
    initial_states: Any = None,
) -> None:
    """Write the whole prediction as a program that runs without skhybrid.

    The program holds physics, network, scales and what "hold" does outside the training range. It
    maps raw features to predictions, in the ``dtype`` of the model, for any number of rows. Before
    it is written, its predictions are compared with those of ``model.predict``.

    A program reads numbers. In a column of groups (``per`` of :class:`Param`) it reads the position
    of the group in ``model.group_params_``, and -1 for a group that was not in training:
    ``model.group_params_["vmax"].index.get_indexer(X["site"])``. The groups of an :class:`ODE` are
    numbers already.

    Parameters
    ----------
    model : HybridRegressor
        Fitted.
    path : str or path
        An existing file is replaced.
    format : {"torch", "onnx"}, default="torch"
        "torch" is a program of ``torch.export``, usually with the ending ".pt2"; read it with
        ``torch.export.load(path).module()``. "onnx" is for other languages and runtimes; it needs
        ``pip install skhybrid[onnx]``. Its input is named "X", its output "prediction".
    example : array-like, default=None
        Rows of X, as for ``predict``, with which the program is recorded and compared. None draws
        inputs that are random, in the training range as far as the model knows it. Needed for an
        ODE with inputs over time: the program is for records of this length.
    times : array-like of shape (n_times,), default=None
        For an ODE whose X holds initial states: times of the prediction. None is the training
        times. The program predicts at these times only.
    initial_states : array-like of shape (n_samples, n_states), default=None
        For an ODE with inputs over time: examples of initial states. Then the program has a second
        input, "initial_states". Without, its trajectories begin at the columns of
        ``ODE(initial_state=[...])`` in X or, where these are unknown, at the mean initial state of
        the training trajectories.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    ExportError
        If the prediction cannot be a program: the physics leaves torch or branches on its data, the
        solver is adaptive, or times differ between trajectories; if a package is missing; or if the
        program differs from ``predict`` by more than 1e-4 of the target's standard deviation (of
        the prediction itself where that is larger).

    See Also
    --------
    save : The model itself, for use with skhybrid.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> import numpy as np
    >>> import torch
    >>> import skhybrid
    >>> def cooling(time, *, rate=1.0):
    ...     return torch.exp(-rate * time)
    >>> time = np.linspace(0.0, 3.0, 20)[:, None]
    >>> model = skhybrid.HybridRegressor(cooling, nn=None).fit(time, np.exp(-0.7 * time[:, 0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "cooling.pt2")
    ...     skhybrid.export(model, path, example=time)
    ...     program = torch.export.load(path).module()
    >>> program(torch.tensor([[0.0], [1.0]], dtype=torch.float64)).shape
    torch.Size([2])
    """
    _require_hybrid(model)
    check_is_fitted(model)
    path = _path(path)
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}; got {format!r}.")
    if (path.suffix == ".onnx") != (format == "onnx") and path.suffix in (".onnx", ".pt2"):
        raise ValueError(
            f"The ending of {str(path)!r} does not fit format={format!r}. The usual endings are "
            "'.pt2' for format='torch' and '.onnx' for format='onnx'."
        )
    if format == "onnx":
        _require_onnx()
    model = _on_cpu(model)
    with threads(model.n_threads), torch.no_grad():
        program, inputs, example = make_program(model, example, times, initial_states)
        content, run = (_as_torch if format == "torch" else _as_onnx)(program, inputs)
        given = {"times": times, "initial_states": initial_states}
        _compare(model, run, inputs, example, given)
    write_atomically(path, content)


def _on_cpu(model: HybridRegressor) -> HybridRegressor:
    """Return the model, or a copy on the CPU, where programs are recorded."""
    if model._fitted.hybrid.scales.target_scale.device.type == "cpu":
        return model
    given = {name: getattr(model, name) for name in PARTS}
    return restored_model(model_state(model), given, device="cpu")


def _dynamic(inputs: tuple[Tensor, ...]) -> tuple[dict[int, Any], ...]:
    """Return the number of rows as the dimension that varies, of each input."""
    rows = torch.export.Dim("n_samples")
    return tuple({0: rows} for _ in inputs)


def _recorded(
    program: nn.Module, inputs: tuple[Tensor, ...], use: Callable[[ExportedProgram], Any]
) -> Any:
    """Return what a function makes of the program that torch.export records.

    The program has a loop over the intervals of a rollout. If the code in it cannot be recorded or
    used that way, such as a constant tensor in the physics, the intervals follow one another.
    """
    record = functools.partial(
        torch.export.export, program, inputs, dynamic_shapes=_dynamic(inputs)
    )
    if getattr(program, "loops", False):
        with _quiet(), contextlib.suppress(Exception):
            return use(record(strict=True))
        program.loops = False
    with _quiet():
        return use(record(strict=False))


def _as_torch(program: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[bytes, Run]:
    """Return the content of a file of torch.export, and how it predicts."""

    def written(recorded: ExportedProgram) -> bytes:
        file = io.BytesIO()
        torch.export.save(recorded, file)
        return file.getvalue()

    try:
        content = _recorded(program, inputs, written)
    except Exception as error:
        raise ExportError(_refused("torch.export", error)) from error
    read = torch.export.load(io.BytesIO(content)).module()
    return content, lambda given: read(*given).detach().double().numpy()


def _as_onnx(program: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[bytes, Run]:
    """Return the content of an ONNX file, and how it predicts."""
    names = ["X", "initial_states"][: len(inputs)]

    def written(recorded: ExportedProgram) -> bytes:
        converted = torch.onnx.export(
            recorded, dynamo=True, input_names=names, output_names=["prediction"], verbose=False
        )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "program.onnx"
            converted.save(file, external_data=False)
            return file.read_bytes()

    try:
        content = _recorded(program, inputs, written)
    except Exception as error:
        raise ExportError(_refused("torch.onnx.export", error)) from error
    run = _onnx_session(content)
    return content, lambda given: run(
        {name: each.numpy() for name, each in zip(names, given, strict=True)}
    ).astype(np.float64)


@contextlib.contextmanager
def _quiet():
    """Silence what the exporter says of itself: an ExportError tells what is about the model."""
    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _onnx_session(content: bytes) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """Return a function that runs an ONNX program, by onnxruntime or by onnx itself."""
    if importlib.util.find_spec("onnxruntime") is not None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    else:
        import onnx
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(onnx.load_from_string(content))
    return lambda given: session.run(None, given)[0]


def _require_onnx() -> None:
    """Raise an error that names the extra if a package is missing."""
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(
            f"format='onnx' needs the package {missing[0]}, which is not installed. Run: pip "
            "install skhybrid[onnx]. Or choose format='torch'."
        )


def _compare(
    model: HybridRegressor,
    run: Run,
    inputs: tuple[Tensor, ...],
    example: Any,
    given: dict[str, Any],
) -> None:
    """Raise an error if the program predicts otherwise than the model, or not for any n rows."""
    given = {name: value for name, value in given.items() if value is not None}
    expected = np.asarray(model.predict(example, **given), dtype=np.float64)
    spread = model._fitted.hybrid.scales.target_scale.numpy().astype(np.float64)
    if model._fitted.trajectory_info is not None and model._fitted.trajectory_info.scalar:
        spread = spread.reshape(())
    for n in (len(expected), 1):
        try:
            found = run(tuple(each[:n] for each in inputs))
        except Exception as error:
            raise ExportError(
                f"The program does not predict {n} rows: {error}. The physics may fix the number "
                "of rows; write it for any number."
            ) from error
        wanted = expected[:n]
        if found.shape != wanted.shape:
            raise ExportError(
                f"The program returns shape {found.shape} in place of {wanted.shape}."
            )
        allowed = TOLERANCE * np.maximum(spread, np.abs(wanted))
        with np.errstate(invalid="ignore"):
            apart = np.where(found == wanted, 0.0, np.abs(found - wanted) / allowed)
        apart[np.isnan(found) & np.isnan(wanted)] = 0.0
        if not (apart <= 1.0).all():
            raise ExportError(
                f"The program differs from predict by up to {np.max(apart) * TOLERANCE:.2g} of the "
                f"target's standard deviation; at most {TOLERANCE:g} is allowed. Does the physics "
                "branch on its data, draw random numbers or keep values between calls? If the "
                "example is far from the data, give rows of them (example=X[:10])."
            )


def _refused(exporter: str, error: Exception) -> str:
    """Return an error message about an exporter that failed."""
    reason = str(error).strip().splitlines()
    return (
        f"{exporter} cannot record the prediction: {type(error).__name__}: "
        f"{reason[0] if reason else ''} Physics, nn and structure must stay within torch: no "
        "NumPy, no .item(), no if on values of tensors (use torch.where)."
    )
