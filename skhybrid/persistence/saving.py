"""Save a fitted model in one file, and load it: no pickle, nothing is executed."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted

from skhybrid._regressor import HybridRegressor
from skhybrid.exceptions import SavedModelError
from skhybrid.fitting.summary_lines import title
from skhybrid.persistence.model_state import PARTS, model_state, restored_model
from skhybrid.runtime.atomic_files import write_atomically
from skhybrid.runtime.state_files import DamagedStateError, pack_state, unpack_state
from skhybrid.runtime.threads import threads

FORMAT = "skhybrid model"
# Raise it when a file needs more than this version's fields; keep reading the older ones.
FORMAT_VERSION = 1


def save(model: HybridRegressor, path: str | os.PathLike) -> None:
    """Save a fitted model in one file, without pickle.

    The file is a safetensors file: the numbers as tensors, everything else as JSON, and a checksum
    of all bytes. It holds the settings, the physics parameters with their units and bounds, the
    weights of the network, names, scales, training ranges and the record of the fit. It holds no
    code: the function of the physics, and a network or a structure of your own, are given again to
    :func:`load`. It holds no training data, except initial states of trajectories and the times of
    an ODE. Callbacks are left out.

    Before it is written, the file is read back in memory, and must give the same predictions.

    Parameters
    ----------
    model : HybridRegressor
        Fitted.
    path : str or path
        An existing file is replaced at once, or not at all. The usual ending is ".safetensors".

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    SavedModelError
        If the model holds something that cannot be stored, or is no :class:`HybridRegressor`.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : The model again.
    export : The prediction as a program that runs without skhybrid.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> import torch
    >>> import skhybrid
    >>> def cooling(time, *, rate=1.0):
    ...     return torch.exp(-rate * time)
    >>> time = torch.linspace(0.0, 3.0, 20)
    >>> model = skhybrid.HybridRegressor(cooling, nn=None)
    >>> model = model.fit(time[:, None].numpy(), cooling(time, rate=0.7).numpy())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "cooling.safetensors")
    ...     skhybrid.save(model, path)
    ...     again = skhybrid.load(path, physics=cooling)
    >>> again.physics_params_ == model.physics_params_
    True
    """
    _require_hybrid(model)
    check_is_fitted(model)
    path = _path(path)
    try:
        with threads(model.n_threads):
            content = pack_state(model_state(model), _header(model))
            state, _ = unpack_state(content)
            given = {name: getattr(model, name) for name in PARTS}
            restored_model(state, _given_code(state, given), exact=True)
    except SavedModelError as error:
        raise SavedModelError(
            f"The model cannot be saved: {error}. If a parameter was changed after the fit, fit "
            "the model again."
        ) from error
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"The folder {str(path.parent)!r} does not exist. Create it, or choose another path."
        )
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder. Give the name of a file in it.")
    write_atomically(path, content)


def load(
    path: str | os.PathLike,
    *,
    physics: Any = None,
    nn: Any = None,
    structure: Any = None,
    device: str | torch.device | None = None,
) -> HybridRegressor:
    """Return the fitted model from a file of :func:`save`.

    Nothing in the file is executed. What is code must be given again, from an imported module or
    defined anew; the file knows everything else. To tell other code from that of the fit, the file
    has test inputs, on which the loaded model must give the same predictions.

    Parameters
    ----------
    path : str or path
    physics : callable, torch.nn.Module, Physics or None, default=None
        The function of the physics; needed if the model has physics. Its initial values, bounds
        and units come from the file.
    nn : torch.nn.Module or None, default=None
        Needed if the network is a module of your own. Its weights come from the file.
    structure : callable, ODE, LatentODE or None, default=None
        Needed if the structure is a function, or if the ODE has functions or modules (``observe``,
        ``join``, ``encoder``, ``decoder``): an ODE with these; the file has its other settings.
    device : str, torch.device or None, default=None
        Where to predict. None is the device of the fit.

    Returns
    -------
    model : HybridRegressor
        Fitted. On the same machine its predictions are the same bit for bit.

    Raises
    ------
    SavedModelError
        If the file is damaged, was saved by a newer version, or needs code that is missing or does
        not fit: other names, shapes, units, settings or predictions.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : With an example.
    """
    path = _path(path)
    content = path.read_bytes()
    try:
        state, header = unpack_state(content)
    except DamagedStateError as error:
        raise SavedModelError(
            f"{str(path)!r} cannot be loaded: {error}. It is damaged, or no file of skhybrid.save. "
            "Copy or save it again."
        ) from error
    if header.get("format") != FORMAT:
        raise SavedModelError(
            f"{str(path)!r} is no saved model; it is another file of skhybrid, such as a "
            "checkpoint. Give a file of skhybrid.save."
        )
    _require_known_version(path, header)
    given = {"physics": physics, "nn": nn, "structure": structure}
    try:
        return restored_model(state, given, device=device)
    except (ValueError, TypeError, KeyError, ImportError) as error:
        said = str(error).rstrip(".") if isinstance(error, ValueError) else repr(error)
        raise SavedModelError(
            f"{str(path)!r} (skhybrid {header['skhybrid']}) cannot be loaded: {said}."
        ) from error


def _header(model: HybridRegressor) -> dict[str, Any]:
    """Return what a file says of itself."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "skhybrid": sys.modules["skhybrid"].__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "Python": platform.python_version(),
        "title": title(model, model._fitted),
    }


def _require_known_version(path: Path, header: Mapping[str, Any]) -> None:
    """Raise an error if a newer version has written the file."""
    own = sys.modules["skhybrid"].__version__
    newer = parse_version(header["skhybrid"]) > parse_version(own)
    if newer or header["format_version"] > FORMAT_VERSION:
        raise SavedModelError(
            f"{str(path)!r} was saved by skhybrid {header['skhybrid']} (format "
            f"{header['format_version']}), which is newer than this version, {own} (format "
            f"{FORMAT_VERSION}). Install skhybrid>={header['skhybrid']}."
        )


def _given_code(state: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a model that are code; None for those that the file knows."""
    given = dict(parts)
    if "code" not in state["nn"]:
        given["nn"] = None
    if "named" in state["structure"]:
        given["structure"] = None
    return given


def _require_hybrid(model: Any) -> None:
    """Raise an error that says what to save in place of something else."""
    if type(model) is HybridRegressor:
        return
    name = type(model).__name__
    remedy = "Give a fitted HybridRegressor."
    if isinstance(model, HybridRegressor):
        remedy = "The code of a subclass cannot be stored. Use pickle."
    elif hasattr(model, "best_estimator_") or hasattr(model, "cv_results_"):
        remedy = "Save the best model: skhybrid.save(search.best_estimator_, path)."
    elif hasattr(model, "steps"):
        remedy = (
            "Save its hybrid step, skhybrid.save(pipeline[-1], path), and the other steps with "
            "skops; or the whole pipeline with pickle."
        )
    elif hasattr(model, "regressor_"):
        remedy = "Save its hybrid, skhybrid.save(model.regressor_, path), or use pickle."
    elif hasattr(model, "param_grid"):
        remedy = "Fit the search, then save its best_estimator_."
    raise SavedModelError(f"save stores a HybridRegressor; it was given a {name}. {remedy}")


def _path(path: Any) -> Path:
    """Return a path, or raise an error if it is none."""
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise TypeError(
            f"path must be the name of a file, such as 'model.safetensors'; got {path!r}."
        )
    return Path(path).expanduser()
