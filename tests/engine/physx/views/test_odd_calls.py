# SPDX-License-Identifier: Apache-2.0
"""Odd arguments of every method of a view: each call works, or ends in one line that names what was wrong."""

import inspect
import logging
import math
from typing import Any

import numpy
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omni.myriad.engine.physx import ArticulationView
from omni.myriad.engine.view import ArticulationActions
from omni.myriad.errors import MyriadError

from .scenes import driven_arm

NUM_ENVS = 3
METHODS = [
    name
    for name, member in inspect.getmembers(ArticulationView, inspect.isfunction)
    if not name.startswith("_") and name not in ("bind", "initialize")
]
SHAPES = [(), (0,), (2,), (3,), (2, 2), (3, 1), (3, 2), (3, 3), (3, 4), (3, 6), (3, 7), (3, 3, 9), (3, 2, 2)]
DTYPES = [torch.float32, torch.float64, torch.int64, torch.int32, torch.bool, torch.complex64, torch.uint8]
ACTIONS: Any = ArticulationActions
ODD = [
    *(None, True, 0, -1, 1, 3, 1.5, math.nan, math.inf, 10**30, 10**400, 2j),
    *("", "shoulder", "nobody", "position", "\n", b"x", [], [0], [1, 0], [0, 0], [-1], [3], [99], [1.5], [None], [[0]]),
    *(["shoulder"], ["shoulder", "nobody"], [0, "shoulder"], (1,), range(2), range(99), {}, {"shoulder": 1}, {0}),
    *(object(), int, len, iter([0]), [[math.nan] * 2] * 3, [[1, 2], [3]], [10**400], slice(None), Ellipsis),
    *(numpy.zeros((3, 2)), numpy.zeros((3, 2), "f4"), numpy.array(["a"]), numpy.array([object()]), numpy.arange(2)),
    *(numpy.full((3, 2), math.nan), numpy.float32(1.0), numpy.array([2**63], numpy.uint64), torch.zeros(3, 2).T),
    *(torch.zeros(3, 2, device="meta"), torch.zeros(3, 2).to_sparse(), torch.zeros(3, 2, requires_grad=True)),
    *(torch.nn.Linear(1, 1), torch.float32, torch.full((3, 2), math.nan), torch.full((3, 6), math.nan)),
    *(ArticulationActions(), ArticulationActions(torch.zeros(3, 2)), ACTIONS(joint_efforts="fast")),
    *(ArticulationActions(torch.zeros(3, 1), joint_indices=[9]), ACTIONS(joint_names=5)),
]  # fmt: skip
odd = st.sampled_from(ODD) | st.builds(torch.zeros, st.sampled_from(SHAPES), dtype=st.sampled_from(DTYPES))


@pytest.fixture(scope="module")
def view(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "arms")
    simulate(driven_arm, view, num_envs=NUM_ENVS)
    return view


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_an_odd_call_works_or_says_what_was_wrong(view, name, data):
    method = getattr(view, name)
    parameters = inspect.signature(method).parameters
    given_ = data.draw(st.lists(st.sampled_from(sorted(parameters)), unique=True)) if parameters else []
    needed = [key for key, found in parameters.items() if found.default is found.empty and key not in given_]
    arguments = {key: data.draw(odd, label=key) for key in [*given_, *needed]}
    try:
        method(**arguments)
    except (MyriadError, NotImplementedError) as error:
        text = str(error)
        assert text and "\n" not in text and len(text) < 400
        # Some hand on to others: what actions hold is named as their fields are.
        words = [*arguments, name, "joint_", "poses"]
        assert any(word in text for word in words) or isinstance(error, NotImplementedError), text


# The arguments that hold values of a quantity, by the shape of one that is right.
SETTERS = [
    ("set_world_poses", "positions", (3, 3)),
    ("set_world_poses", "orientations", (3, 4)),
    ("set_local_poses", "translations", (3, 3)),
    ("set_local_poses", "orientations", (3, 4)),
    ("set_velocities", "velocities", (3, 6)),
    ("set_linear_velocities", "velocities", (3, 3)),
    ("set_angular_velocities", "velocities", (3, 3)),
    ("set_joint_positions", "positions", (3, 2)),
    ("set_joint_velocities", "velocities", (3, 2)),
    ("set_joint_position_targets", "positions", (3, 2)),
    ("set_joint_velocity_targets", "velocities", (3, 2)),
    ("set_joint_efforts", "efforts", (3, 2)),
    ("set_gains", "kps", (3, 2)),
    ("set_gains", "kds", (3, 2)),
    ("set_armatures", "values", (3, 2)),
    ("set_max_efforts", "values", (3, 2)),
    ("set_max_joint_velocities", "values", (3, 2)),
    ("set_friction_coefficients", "values", (3, 2)),
    ("set_body_masses", "values", (3, 3)),
    ("set_body_inertias", "values", (3, 3, 9)),
    ("set_body_coms", "positions", (3, 3, 3)),
    ("set_body_coms", "orientations", (3, 3, 4)),
    ("set_default_state", "positions", (3, 3)),
    ("set_joints_default_state", "positions", (3, 2)),
]


@pytest.mark.parametrize(("setter", "argument", "shape"), SETTERS)
def test_nan_is_refused_with_its_place(simulate, setter, argument, shape):
    view = ArticulationView("/World/envs/.*/Arm", "fresh")
    simulate(driven_arm, view, num_envs=NUM_ENVS)
    values = torch.ones(shape)
    values[1, 1] = math.nan
    with pytest.raises(MyriadError, match=rf"{argument} must be numbers, got NaN at \(1, 1"):
        getattr(view, setter)(**{argument: values})


def test_the_same_tensor_is_looked_at_a_few_times_and_a_list_always(view, monkeypatch):
    looked = []
    monkeypatch.setattr("omni.myriad.engine.checks.refuse_nan", lambda name, values: looked.append(name))
    view._looks.clear()
    for _ in range(50):
        view.set_joint_efforts(torch.zeros(3, 2))
    assert len(looked) == 8
    for _ in range(5):
        view.set_joint_efforts([[0.0, 0.0]] * 3)
    assert len(looked) == 13


def test_position_targets_that_move_nothing_are_said_once(view, caplog):
    kps, kds = view.get_gains()
    view._looks.clear()
    view.set_gains(torch.zeros_like(kps), kds)
    with caplog.at_level(logging.WARNING):
        view.set_joint_position_targets(torch.zeros(3, 1), joint_names=["elbow"])
        view.apply_action(ArticulationActions(torch.zeros(3, 2)))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 and "no drive of elbow has stiffness" in said[0]
    view._looks.clear()
    view.set_gains(torch.ones_like(kps), kds)
    with caplog.at_level(logging.WARNING):
        view.set_joint_position_targets(torch.zeros(3, 2))
    assert len(caplog.records) == 1
