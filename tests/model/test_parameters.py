"""Transforms between physics parameters and coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skhybrid.model.param import Param
from skhybrid.model.parameters import BOUND_MARGIN, EFFECT, ParameterSpace
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


def projected(space: ParameterSpace, z: torch.Tensor) -> torch.Tensor:
    """Return coordinates as training limits them."""
    return z.clamp(*space.limits["a"])


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
    eps = torch.finfo(dtype).eps
    allowed = BOUND_MARGIN * space.scales["a"] + 16.0 * eps * np.abs(param.value())
    assert (moved <= 1.001 * allowed).all()
    assert (moved[(param.value() == low) | (param.value() == high)] > 0).all()


@pytest.mark.parametrize("param", INSIDE.values(), ids=INSIDE)
def test_a_step_of_one_moves_theta_by_its_scale(param):
    """The learning rate must depend neither on the unit nor on the distance of the bounds."""
    space = make_space(param)
    _, slope = value_and_slope(space, zeros(space))
    assert_close(slope, torch.tensor(space.scales["a"]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("param", INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize("z", [-1e4, -30.0, 30.0, 1e4])
def test_at_the_limits_of_its_coordinate_theta_is_strictly_inside_its_bounds(param, dtype, z):
    """Physics need not be defined on a bound."""
    space = make_space(param, dtype=dtype)
    coordinates = projected(space, zeros(space, dtype) + z)
    value, slope = value_and_slope(space, coordinates)
    low, high = param.limits()
    value = value.double().numpy()
    assert np.isfinite(value).all()
    assert (slope > 0).all()
    assert (value > low).all()
    assert (value < high).all()
    at_low, at_high = space.on_bounds({"a": value})["a"]
    lowest, highest = space.limits["a"]
    np.testing.assert_array_equal(at_low, (coordinates == lowest).numpy())
    np.testing.assert_array_equal(at_high, (coordinates == highest).numpy())


@pytest.mark.parametrize("z", [-0.3, 0.0, 0.2])
def test_bounds_that_are_not_reached_change_nothing(z):
    limited, free = (make_space(Param(2.0, bounds)) for bounds in ((0.0, 1e3), (None, None)))
    z = torch.tensor(z, dtype=torch.float64)
    assert torch.equal(projected(limited, z), z)
    assert torch.equal(limited.values({"a": z})["a"], free.values({"a": z})["a"])


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
    z = projected(space, zeros(space, dtype) + z)
    back = space.coordinates({"a": space.values({"a": z})["a"].double().numpy()})
    assert back["a"].dtype == dtype
    assert_close(back["a"], z, rtol=0.0, atol=1e-4 if dtype == torch.float32 else 1e-10)


def test_theta_follows_the_formula():
    z = torch.tensor(0.8, dtype=torch.float64)
    assert_close(make_space(Param(-4.0)).values({"a": z})["a"], -4.0 + 4.0 * z)
    space = make_space(Param(2.0), effects={"a": np.array(20.0)})
    assert_close(space.values({"a": z})["a"], 2.0 + EFFECT / 20.0 * z)


@pytest.mark.parametrize(
    ("param", "effect", "expected"),
    [
        (Param(5.0), None, 5.0),
        (Param(-5.0), None, 5.0),
        (Param(0.0), None, 1.0),
        (Param([0.0, 0.0]), None, [1.0, 1.0]),
        # A zero among other numbers has the root mean square of all as its magnitude.
        (Param([0.0, 3.0, 4.0]), None, [5.0 / np.sqrt(3.0), 3.0, 4.0]),
        (Param([1e-5, 100.0]), None, [100.0 / np.sqrt(2.0), 100.0]),
        (Param(0.0, bounds=(0.0, 0.2)), None, 0.2),
        (Param(20.0, bounds=(19.0, 22.0)), None, 3.0),
        # The effect counts if it is large, or if nothing else is known.
        (Param(60.0), 0.5, 2.0 * EFFECT),
        (Param(3.0), 0.1, 3.0),
        (Param(0.0), 1e-7, 1e7 * EFFECT),
        (Param([2.0, 100.0]), [0.0, 0.25], [2.0, 4.0 * EFFECT]),
        (Param(3.0), np.nan, 3.0),
    ],
)
def test_the_scale_is_the_smallest_of_effect_magnitude_and_width(param, effect, expected):
    effects = {} if effect is None else {"a": np.asarray(effect)}
    np.testing.assert_allclose(make_space(param, effects=effects).scales["a"], expected)


def test_a_start_replaces_the_initial_value_and_sets_the_scale():
    space = make_space(Param(2.0, bounds=(0.0, None)), start=0.1)
    value, _ = value_and_slope(space, zeros(space))
    assert_close(value, torch.tensor(0.1, dtype=torch.float64))
    assert space.scales["a"] == pytest.approx(0.2)  # a tenth of the initial value
    assert make_space(Param(2.0), start=7.0).scales["a"] == 7.0
    assert make_space(Param(2.0), start=-7.0).scales["a"] == 7.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("unit", [2.0**-40, 2.0**40])
@pytest.mark.parametrize("bounds", [(None, None), (0.0, None), (0.0, 8.0)])
def test_a_unit_that_is_a_power_of_two_changes_no_bit(dtype, unit, bounds):
    def space(unit):
        limits = tuple(None if side is None else side * unit for side in bounds)
        effects = {"a": np.array(0.7 / unit)}
        return make_space(Param(3.3 * unit, limits), effects=effects, dtype=dtype)

    one, other = space(1.0), space(unit)
    z = torch.tensor(0.7, dtype=dtype)
    assert torch.equal(unit * one.values({"a": z})["a"], other.values({"a": z})["a"])
    assert one.limits == other.limits
    drawn = [each.draw(np.random.RandomState(0))["a"] for each in (one, other)]
    assert torch.equal(*drawn)


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
    assert (drawn.std(dim=0) > 0.1 * torch.tensor(space.scales["a"])).all()


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
