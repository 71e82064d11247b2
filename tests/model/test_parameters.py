"""Transforms between physics parameters and coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skhybrid.model.param import Param
from skhybrid.model.parameters import BOUND_MARGIN, ParameterSpace
from skhybrid.model.physics import Physics

DTYPES = [torch.float32, torch.float64]

# Well inside their bounds: θ equals them at z = 0.
INSIDE = {
    "open": Param(3.0),
    "negative": Param(-4.0),
    "zero": Param(0.0),
    "tiny": Param(1e-12),
    "huge": Param(1e12),
    "array": Param([[1.0, -2.0], [0.0, 1e-3]]),
    "low": Param(2.0, bounds=(0.0, None)),
    "low negative": Param(-1.0, bounds=(-3.0, None)),
    "high": Param(2.0, bounds=(None, 5.0)),
    "high negative": Param(-2.0, bounds=(None, 0.0)),
    "both": Param(0.3, bounds=(0.0, 1.0)),
    "both negative": Param(-0.3, bounds=(-1.0, 0.0)),
    "narrow": Param(1.0, bounds=(0.99, 1.02)),
    "wide": Param(1.0, bounds=(0.0, 1e3)),
    "wide negative": Param(-1.0, bounds=(-1e3, 0.0)),
    "very wide": Param(1.0, bounds=(-1e6, 1e6)),
    "mixed": Param(
        [1.0, 2.0, -3.0, 0.4],
        bounds=([-np.inf, 0.0, -np.inf, 0.0], [np.inf, np.inf, 0.0, 1.0]),
    ),
}

ON_A_BOUND = {
    "low": Param(0.0, bounds=(0.0, None)),
    "low far from zero": Param(5.0, bounds=(5.0, None)),
    "high": Param(-2.0, bounds=(None, -2.0)),
    "both, low": Param(0.0, bounds=(0.0, 1.0)),
    "both, high": Param(1.0, bounds=(0.0, 1.0)),
    "both, wide": Param(1.0, bounds=(1.0, 1e4)),
    "array": Param([0.0, 1.0, 0.5], bounds=(0.0, 1.0)),
}


def make_space(param: Param, start=None, **options) -> ParameterSpace:
    def line(x, *, a):
        return x

    start = None if start is None else {"a": np.asarray(start)}
    return ParameterSpace(Physics(line, a=param), start, **options)


def value_and_slope(space: ParameterSpace, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return θ and the elementwise dθ/dz."""
    z = z.clone().requires_grad_()
    value = space.values({"a": z})["a"]
    value.sum().backward()
    return value.detach(), z.grad


def zeros(space: ParameterSpace, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.zeros(space.shapes["a"], dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("param", INSIDE.values(), ids=INSIDE)
def test_theta_is_the_start_at_zero_coordinates(param, dtype):
    space = make_space(param, dtype=dtype)
    value, slope = value_and_slope(space, zeros(space, dtype))
    assert value.dtype == dtype
    assert value.shape == param.shape
    expected = torch.tensor(param.value(), dtype=dtype)
    low, high = param.limits()
    rounding = 2.0 * torch.finfo(dtype).eps * np.where(np.isfinite(high - low), high - low, 0.0)
    error = (value - expected).abs()
    assert (error <= 10.0 * torch.finfo(dtype).eps * expected.abs() + torch.tensor(rounding)).all()
    assert torch.isfinite(slope).all()
    assert (slope > 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("param", ON_A_BOUND.values(), ids=ON_A_BOUND)
def test_a_start_on_a_bound_is_moved_just_inside(param, dtype):
    space = make_space(param, dtype=dtype)
    value, slope = value_and_slope(space, zeros(space, dtype))
    low, high = param.limits()
    assert (value.numpy() > low).all()
    assert (value.numpy() < high).all()
    assert (slope > 0).all()
    moved = np.abs(value.numpy() - param.value())
    assert (moved <= 1.001 * BOUND_MARGIN * space.transforms["a"].scale).all()
    assert (moved[(param.value() == low) | (param.value() == high)] > 0).all()


@pytest.mark.parametrize("param", INSIDE.values(), ids=INSIDE)
def test_a_step_of_one_moves_theta_by_about_its_scale(param):
    """The learning rate must depend neither on the unit nor on the distance of the bounds."""
    space = make_space(param)
    _, slope = value_and_slope(space, zeros(space))
    scale = torch.tensor(space.transforms["a"].scale)
    assert (slope <= 1.0001 * scale).all()
    low, high = param.limits()
    room = np.minimum(param.value() - low, high - param.value())
    assert (slope >= 0.5 * torch.minimum(scale, torch.tensor(room))).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("param", INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize("z", [-1e4, -30.0, 30.0, 1e4])
def test_theta_far_from_the_start_is_finite_and_inside_its_bounds(param, dtype, z):
    space = make_space(param, dtype=dtype)
    value, slope = value_and_slope(space, zeros(space, dtype) + z)
    low, high = (torch.tensor(side).to(dtype) for side in param.limits())
    assert torch.isfinite(value).all()
    assert torch.isfinite(slope).all()
    assert (slope >= 0).all()
    tolerance = torch.finfo(dtype).eps * torch.nan_to_num(high - low, posinf=0.0)
    assert (value >= low - tolerance).all()
    assert (value <= high + tolerance).all()


@pytest.mark.parametrize("param", INSIDE.values(), ids=INSIDE)
def test_theta_grows_with_its_coordinate(param):
    space = make_space(param)
    below, at, above = (space.values({"a": zeros(space) + z})["a"] for z in (-0.5, 0.0, 0.5))
    assert (below < at).all()
    assert (at < above).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("param", INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize("z", [-1.5, 0.0, 0.7])
def test_coordinates_invert_values(param, dtype, z):
    space = make_space(param, dtype=dtype)
    values = space.values({"a": zeros(space, dtype) + z})
    back = space.coordinates({"a": values["a"].double().numpy()})
    assert back["a"].dtype == dtype
    again = space.values(back)["a"]
    tolerance = 1e-5 if dtype == torch.float32 else 1e-10
    scale = torch.tensor(space.transforms["a"].scale).to(dtype)
    assert ((again - values["a"]).abs() <= tolerance * scale).all()


def test_theta_follows_the_formulas():
    z = torch.tensor(0.8, dtype=torch.float64)
    assert_close(make_space(Param(-4.0)).values({"a": z})["a"], -4.0 + 4.0 * z)
    start = np.log(np.expm1(0.5))
    expected = 1.0 + 2.0 * torch.nn.functional.softplus(z + start)
    assert_close(make_space(Param(2.0, bounds=(1.0, None))).values({"a": z})["a"], expected)
    expected = 3.0 - 2.0 * torch.nn.functional.softplus(-z + start)
    assert_close(make_space(Param(2.0, bounds=(None, 3.0))).values({"a": z})["a"], expected)
    expected = 4.0 * torch.sigmoid(z + np.log(0.25 / 0.75))
    assert_close(make_space(Param(1.0, bounds=(0.0, 4.0))).values({"a": z})["a"], expected)
    expected = 400.0 * torch.sigmoid(z / 75.0 + np.log(0.75 / 0.25)) - 299.0
    assert_close(make_space(Param(1.0, bounds=(-299.0, 101.0))).values({"a": z})["a"], expected)


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        (Param(5.0), 5.0),
        (Param(-5.0), 5.0),
        (Param(0.0), 1.0),
        (Param([0.0, 0.0]), [1.0, 1.0]),
        # A zero among other numbers has the root mean square of all as its scale.
        (Param([0.0, 3.0, 4.0]), [5.0 / np.sqrt(3.0), 3.0, 4.0]),
        (Param([1e-5, 100.0]), [100.0 / np.sqrt(2.0), 100.0]),
        (Param(0.0, bounds=(0.0, 0.2)), 0.2),
        (Param(20.0, bounds=(19.0, 22.0)), 3.0),
    ],
)
def test_the_scale_is_the_magnitude(param, expected):
    np.testing.assert_allclose(make_space(param).transforms["a"].scale, expected)


def test_a_start_replaces_the_initial_value_and_sets_the_scale():
    space = make_space(Param(2.0, bounds=(0.0, None)), start=0.1)
    value, _ = value_and_slope(space, zeros(space))
    assert_close(value, torch.tensor(0.1, dtype=torch.float64))
    assert space.transforms["a"].scale == pytest.approx(0.2)  # a tenth of the initial value
    assert make_space(Param(2.0), start=7.0).transforms["a"].scale == 7.0
    assert make_space(Param(2.0), start=-7.0).transforms["a"].scale == 7.0


def test_theta_that_starts_at_zero_can_leave_zero():
    space = make_space(Param(0.0))
    value, slope = value_and_slope(space, zeros(space) + 0.5)
    assert value == 0.5
    assert slope == 1.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("param", [*INSIDE.values(), *ON_A_BOUND.values()])
def test_draws_are_inside_the_bounds_and_differ(param, dtype):
    space = make_space(param, dtype=dtype)
    random_state = np.random.RandomState(0)
    drawn = [space.values(space.draw(random_state))["a"] for _ in range(50)]
    low, high = (torch.tensor(side).to(dtype) for side in param.limits())
    drawn = torch.stack(drawn)
    assert drawn.shape == (50, *param.shape)
    assert torch.isfinite(drawn).all()
    assert (drawn >= low).all()
    assert (drawn <= high).all()
    assert (drawn.std(dim=0) > 0.1 * torch.tensor(space.transforms["a"].scale)).all()


def test_draws_fill_the_interval_between_two_bounds():
    space = make_space(Param(1.0, bounds=(0.0, 1000.0)))
    random_state = np.random.RandomState(0)
    drawn = [float(space.values(space.draw(random_state))["a"]) for _ in range(400)]
    assert abs(np.mean(drawn) - 500.0) < 50.0
    assert min(drawn) < 20.0
    assert max(drawn) > 980.0


def test_draws_are_reproducible():
    space = make_space(INSIDE["mixed"])
    first, second = (space.draw(np.random.RandomState(3))["a"] for _ in range(2))
    assert torch.equal(first, second)


def two_unknowns(x, *, known=2.0, learned=1.0):
    return known * learned * x


def test_fixed_parameters_have_no_coordinates():
    physics = Physics(two_unknowns, known=Param(2.0, fixed=True))
    space = ParameterSpace(physics, {"learned": np.array(3.0)})
    assert space.names == ("known", "learned")
    assert space.shapes == {"learned": ()}
    values = space.values({"learned": torch.zeros((), dtype=torch.float64)})
    assert {name: float(value) for name, value in values.items()} == {"known": 2.0, "learned": 3.0}
    assert not values["known"].requires_grad


def test_held_parameters_stay_at_a_start_on_a_bound():
    physics = Physics(two_unknowns, known=Param(0.0, bounds=(0.0, None)))
    space = ParameterSpace(physics, held=True)
    assert space.shapes == {}
    assert {name: float(value) for name, value in space.values({}).items()} == {
        "known": 0.0,
        "learned": 1.0,
    }


def test_no_physics_has_no_parameters():
    space = ParameterSpace(None)
    assert space.names == ()
    assert space.values({}) == {}
    assert space.draw(np.random.RandomState(0)) == {}


@pytest.mark.parametrize("param", INSIDE.values(), ids=INSIDE)
def test_a_space_with_the_constants_of_another_start_equals_a_space_at_that_start(param):
    space = make_space(param)
    start = space.values(space.draw(np.random.RandomState(0)))["a"].numpy()
    expected = make_space(param, start=start)
    before = space.values({"a": zeros(space)})["a"]
    moved = space.with_member_constants(expected.member_constants())
    for z in (-0.5, 0.0, 0.7):
        coordinates = {"a": zeros(space) + z}
        assert torch.equal(moved.values(coordinates)["a"], expected.values(coordinates)["a"])
    assert torch.equal(space.values({"a": zeros(space)})["a"], before)
