"""Warnings: their location, and warnings that are caught."""

from __future__ import annotations

import contextlib
import re
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skhybrid
from skhybrid import HybridRegressor
from skhybrid.exceptions import SerialMembersWarning
from skhybrid.runtime.user_warnings import warn, warnings_caught

X = np.linspace(0.0, 1.0, 20)[:, None]
Y = 2.0 * X[:, 0] + 0.1 * np.sin(9.0 * X[:, 0])


def this_line() -> int:
    """Return the number of the line that calls."""
    return sys._getframe(1).f_lineno


def function_in(package) -> Callable:
    """Return a function that calls another one, and that seems to lie in a package."""
    file = Path(package.__file__).parent / "somewhere" / "module.py"
    names = {}
    exec(compile("def call(function):\n    return function()\n", str(file), "exec"), names)
    return names["call"]


def branching(x, *, gain=1.0):
    """Branch on the values, as ``torch.vmap`` cannot."""
    return gain * x if (gain * x).sum() > 0 else -gain * x


def make_model() -> HybridRegressor:
    """Return a model that warns in every fit, because members cannot be vectorised."""
    settings = {"nn": (2,), "max_epochs": 1, "refine_rho": None, "physics_init": "given"}
    return HybridRegressor(branching, n_restarts=2, random_state=0, **settings)


@contextlib.contextmanager
def recorded():
    """Record all warnings of members that are trained one after the other."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", SerialMembersWarning)
        yield found


# The location


def test_a_warning_has_the_line_of_the_caller():
    with recorded() as found:
        line = this_line() + 1
        warn("beware", SerialMembersWarning)
    [warning] = found
    assert (warning.filename, warning.lineno) == (__file__, line)
    assert str(warning.message) == "beware"
    assert warning.category is SerialMembersWarning


def test_a_warning_object_keeps_its_category():
    with recorded() as found:
        warn(SerialMembersWarning("beware"))
    assert [each.category for each in found] == [SerialMembersWarning]


def test_the_category_is_a_user_warning_by_default():
    with pytest.warns(UserWarning, match="beware") as found:
        warn("beware")
    assert [each.category for each in found] == [UserWarning]


@pytest.mark.parametrize("package", [skhybrid, sklearn, joblib], ids=lambda each: each.__name__)
def test_lines_of_libraries_are_skipped(package):
    call = function_in(package)
    beware = partial(warn, "beware", SerialMembersWarning)
    with recorded() as found:
        line = this_line() + 1
        call(partial(call, beware))
    assert [(each.filename, each.lineno) for each in found] == [(__file__, line)]


def test_the_line_is_the_innermost_of_the_user():
    call = function_in(skhybrid)
    beware = partial(warn, "beware", SerialMembersWarning)

    def callback():
        call(beware)

    with recorded() as found:
        call(callback)
    line = callback.__code__.co_firstlineno + 1
    assert [(each.filename, each.lineno) for each in found] == [(__file__, line)]


def test_a_folder_with_a_similar_name_is_no_library():
    names = {}
    file = str(Path(skhybrid.__file__).parent) + "_extension/module.py"
    exec(compile("\n\ndef call(warn, *given):\n    warn(*given)\n", file, "exec"), names)
    with recorded() as found:
        names["call"](warn, "beware", SerialMembersWarning)
    assert [(each.filename, each.lineno) for each in found] == [(file, 4)]


def test_the_line_of_a_fit():
    model = make_model()
    with recorded() as found:
        line = this_line() + 1
        model.fit(X, Y)
    assert [(each.filename, each.lineno) for each in found] == [(__file__, line)]


def test_the_line_of_a_fit_within_meta_estimators():
    search = GridSearchCV(make_pipeline(make_model()), {"hybridregressor__l2": [0.0, 0.1]}, cv=2)
    with recorded() as found:
        line = this_line() + 1
        search.fit(X, Y)
    assert len(found) == 5  # two candidates on two folds, and the refit
    assert {(each.filename, each.lineno) for each in found} == {(__file__, line)}


def test_a_filter_for_the_user_module_applies():
    with recorded() as found:
        warnings.filterwarnings("ignore", module=re.escape(__name__))
        make_model().fit(X, Y)
    assert not found


@pytest.mark.parametrize("as_candidate", [False, True], ids=["fit", "search"])
def test_a_warning_may_be_an_error(as_candidate):
    model = make_model()
    if as_candidate:
        model = GridSearchCV(model, {"l2": [0.0]}, cv=2, error_score="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("error", SerialMembersWarning)
        with pytest.raises(SerialMembersWarning, match=r"torch\.vmap says"):
            model.fit(X, Y)


# Warnings that come once


def library_that_warns() -> Callable:
    """Return a function of a library that warns with each of the given keys."""
    file = str(Path(sklearn.__file__).parent / "somewhere.py")
    names = {"warn": warn, "category": SerialMembersWarning}
    code = "def run(*keys):\n for key in keys: warn(str(key), category, once=key)\n"
    exec(compile(code, file, "exec"), names)
    return names["run"]


def test_a_key_comes_once_in_a_call():
    run = library_that_warns()
    with recorded() as found:
        run("a", "b", "a", "a")
        run("a")
    assert [str(each.message) for each in found] == ["a", "b", "a"]
    assert {each.filename for each in found} == {__file__}


def test_without_a_key_every_warning_comes():
    with recorded() as found:
        library_that_warns()(None, None)
    assert len(found) == 2


def test_calls_in_a_loop_of_the_user_are_different_calls():
    run = library_that_warns()
    with recorded() as found:
        for _ in range(3):
            run("a")
    assert len(found) == 3


def test_a_worker_warns_once():
    run = library_that_warns()
    with recorded() as found, ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            pool.submit(run, "a").result(20)
    assert len(found) == 1
    with recorded() as found, ThreadPoolExecutor(1) as pool:
        pool.submit(run, "a").result(20)
    assert len(found) == 1


# Warnings that are caught


def test_caught_warnings_are_kept_and_later_ones_are_shown():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with warnings_caught() as caught:
            warnings.warn("kept", stacklevel=1)
        warnings.warn("shown", stacklevel=1)
    assert [str(each.message) for each in shown] == ["shown"]
    assert [str(each.message) for each in caught] == ["kept"]


def test_threads_leave_the_warning_filters_alone():
    def filters_inside():
        with warnings_caught():
            return list(warnings.filters)

    before = list(warnings.filters)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(filters_inside).result(20) == before
