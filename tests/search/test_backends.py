"""Searches on joblib's backends: the same scores, few threads of torch, and a clean process."""

from __future__ import annotations

import functools
import os
import re
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV
from small_models import (
    ForceModule,
    StopAfter,
    drive_recorded,
    drive_slowly,
    make_model,
    make_table,
)

from skhybrid import HybridSearchCV
from skhybrid.batching.trials import Trial
from skhybrid.exceptions import SearchInterruptedWarning
from skhybrid.runtime import progress

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table()
GRID = {"rho": [0.0, 0.05], "l2": [0.0, 1e-2]}
N_FOLDS = 2
IN_ONE_PROCESS = ("sequential", "threading")
BACKENDS = (*IN_ONE_PROCESS, "loky", "multiprocessing", "dask")
# Two members at once make four batches of the eight fits.
SEARCHES = {
    "grid": GridSearchCV,
    "batches": functools.partial(HybridSearchCV, max_members=2),
}


def first_fit() -> None:
    """Make a fit in a worker, whose first fit imports a lot."""
    small_model(max_epochs=1).fit(X, Y)


@pytest.fixture(scope="module")
def loky_workers():
    """Start two worker processes of loky."""
    joblib.Parallel(n_jobs=2, backend="loky", batch_size=1)([joblib.delayed(first_fit)()] * 2)


@pytest.fixture(scope="module")
def cluster():
    """Start two worker processes of dask."""
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    dask = pytest.importorskip("dask")
    workers = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        # Both workers are forked from a process that has imported everything once.
        packages = ["distributed", "sklearn.model_selection", "torch._dynamo"]
        distributed.utils.get_mp_context().set_forkserver_preload([*packages, "small_models"])
        with (
            distributed.LocalCluster(**workers, dashboard_address=None) as cluster,
            distributed.Client(cluster) as client,
        ):
            client.run(first_fit)
            yield client


@pytest.fixture
def on_backend(request):
    """Return a function from a backend's name to a context in which joblib uses the backend.

    The worker processes are started here, before the test.
    """
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    needed = {"dask": "cluster", "loky": "loky_workers"}.get(parameters.get("backend"))
    if needed is not None:
        request.getfixturevalue(needed)
    return lambda name: joblib.parallel_config(backend=name, n_jobs=2)


@pytest.fixture
def three_threads():
    """Let torch have three threads, as a user may have set."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def expected():
    """Return the scores of fits in this process, one after the other."""
    return scores(GridSearchCV(small_model(), GRID, cv=N_FOLDS, error_score="raise").fit(X, Y))


def small_model(**settings):
    return make_model(**{"max_epochs": 8, **settings})


def scores(search) -> np.ndarray:
    """Return the score of every candidate on every fold."""
    return np.array([search.cv_results_[f"split{fold}_test_score"] for fold in range(N_FOLDS)])


def threads_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


CASES = [(backend, search, None) for backend in BACKENDS for search in SEARCHES]
# A forked process hangs if it uses several threads of torch after its parent has used them.
CASES += [(backend, "batches", 2) for backend in BACKENDS if backend != "multiprocessing"]


@pytest.mark.parametrize(("backend", "search", "n_threads"), CASES)
def test_scores_are_the_same_on_as_many_threads_as_wanted(
    backend, search, n_threads, expected, on_backend, three_threads, tmp_path
):
    physics = functools.partial(drive_recorded, folder=os.fspath(tmp_path))
    state = torch.random.get_rng_state()
    with on_backend(backend):
        model = small_model(physics=physics, n_threads=n_threads)
        found = SEARCHES[search](model, GRID, cv=N_FOLDS, error_score="raise").fit(X, Y)
    np.testing.assert_allclose(scores(found), expected, rtol=1e-9)
    seen = [path.name.split("-") for path in tmp_path.iterdir()]
    assert {int(threads) for _, threads in seen} == {n_threads or 1}
    processes = {int(process) for process, _ in seen}
    assert bool(processes - {os.getpid()}) == (backend not in IN_ONE_PROCESS)
    # Torch has its own threads and random numbers again.
    assert torch.get_num_threads() == threads_of_a_new_thread() == 3
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("make_search", SEARCHES.values(), ids=SEARCHES)
@pytest.mark.parametrize("backend", ["threading", "loky", "dask"])
def test_functions_need_not_be_importable(backend, make_search, expected, on_backend):
    # As in a notebook.
    def drive_here(force, *, gain=1.0, offset=0.1):
        return gain * force + offset

    model = small_model(physics=drive_here, structure=lambda x, physics, nn: physics(x) + nn(x))
    with on_backend(backend):
        search = make_search(model, GRID, cv=N_FOLDS, error_score="raise").fit(X, Y)
    np.testing.assert_allclose(scores(search), expected, rtol=1e-6)


def test_threads_do_not_share_a_module(on_backend):
    class SlowModule(ForceModule):
        def forward(self, force):
            pull = self.gain * force
            time.sleep(0.001)  # meanwhile, another thread may put its parameters here
            return pull + self.offset

    model = small_model(physics=SlowModule(), max_epochs=3)
    search = HybridSearchCV(model, GRID, cv=N_FOLDS, max_members=1)
    expected = scores(search.fit(X, Y))
    with on_backend("threading"):
        np.testing.assert_allclose(scores(search.fit(X, Y)), expected, rtol=1e-9)


def test_threads_leave_the_warning_filters_as_they_are(on_backend):
    def state():
        return warnings.filters[:], warnings.showwarning

    search = HybridSearchCV(small_model(), GRID, cv=N_FOLDS, max_members=1)
    before = state()
    with on_backend("threading"):
        search.fit(X, Y)
    assert state() == before
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)


@pytest.mark.parametrize("backend", ["loky"])
def test_the_number_of_processes_does_not_change_the_scores(backend, on_backend):
    X, Y = make_table(48)
    model = small_model(max_epochs=3, physics_init="given", refine_rho=0.0, batch_size=16)
    grid = [{"rho": [0.02, 0.05]}, {"nn": [None]}]
    one, two = (
        HybridSearchCV(model, grid, cv=3, n_jobs=n_jobs, refit=False).fit(X, Y) for n_jobs in (1, 2)
    )
    for fold in range(3):
        name = f"split{fold}_test_score"
        np.testing.assert_allclose(two.cv_results_[name], one.cv_results_[name], rtol=1e-9)
    assert (two.cv_results_["mean_fit_time"] > 0).all()


@pytest.mark.usefixtures("loky_workers")
def test_worker_processes_show_progress_and_run_callbacks(capsys, monkeypatch):
    for name in ("FIRST_SECONDS", "LINE_SECONDS", "LINE_PART", "COST_FACTOR"):
        monkeypatch.setattr(progress, name, 0.0)
    monitor = ScoringMonitor(scoring="neg_mean_squared_error")
    model = small_model(max_epochs=4, physics_init="given").set_callbacks(monitor)
    grid = {"rho": [0.02, 0.05]}
    HybridSearchCV(model, grid, cv=2, n_jobs=2, refit=False, verbose=1).fit(X, Y)
    (log,) = monitor.get_logs(select="all")
    names = [row["task_name"] for row in log.data]
    assert names.count("estimate-epoch") == 16
    assert names.count("fit") == 4
    lines = capsys.readouterr().out.splitlines()
    assert "Training 4 fits in 2 batches, in 2 processes" in lines
    for number in (1, 2):
        assert any(f"batch {number} of 2  estimate epoch" in line for line in lines)


@pytest.mark.usefixtures("loky_workers")
def test_worker_processes_of_a_grid_search_run_callbacks(capsys):
    pytest.importorskip("rich")
    monitor = ScoringMonitor(scoring="neg_mean_squared_error")
    model = small_model().set_callbacks(monitor, StopAfter(3))
    search = GridSearchCV(model, GRID, cv=N_FOLDS, n_jobs=2, refit=False)
    search.set_callbacks(ProgressBar()).fit(X, Y)
    (log,) = monitor.get_logs(select="all")
    assert [row["task_name"] for row in log.data].count("estimate-epoch") == 3 * 8
    shown = capsys.readouterr().out.split("GridSearchCV - fit")[-1]
    assert set(re.findall(r"(\d+)%", shown)) == {"100"}


@pytest.fixture
def interruptible():
    """Let SIGINT raise KeyboardInterrupt: a process started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# The workers of loky do not survive an interrupt, so loky comes last.
@pytest.mark.parametrize("backend", ["threading", "dask", "loky"])
def test_an_interrupt_keeps_the_finished_fits(backend, on_backend, interruptible, monkeypatch):
    note = Trial.note
    interrupt = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))

    def note_and_interrupt(trial, task):
        note(trial, task)
        if not interrupt.is_alive():
            interrupt.start()

    monkeypatch.setattr(Trial, "note", note_and_interrupt)
    search = HybridSearchCV(small_model(physics=drive_slowly), GRID, cv=N_FOLDS, max_members=1)
    with (
        on_backend(backend),
        pytest.warns(SearchInterruptedWarning, match="of 8 fits are finished"),
        pytest.raises(KeyboardInterrupt),
    ):
        search.fit(X, Y)
        time.sleep(10)
    assert 0 < np.isfinite(scores(search)).sum() < 8
