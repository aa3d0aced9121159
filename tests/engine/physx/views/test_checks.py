# SPDX-License-Identifier: Apache-2.0
"""Index semantics, and errors that name the argument, what was expected and what came."""

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.myriad.engine import checks
from omni.myriad.engine.physx import ArticulationView
from omni.myriad.errors import MyriadError

from .scenes import driven_arm

NUM_ENVS = 5


@pytest.fixture(scope="module")
def view(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "arms")
    simulate(driven_arm, view, num_envs=NUM_ENVS, shards=2)
    return view


# One state, one target, one property that PhysX keeps on the CPU, one with a third dimension.
QUANTITIES = [
    ("get_joint_velocities", "set_joint_velocities", "joint_indices"),
    ("get_applied_joint_efforts", "set_joint_efforts", None),
    ("get_max_efforts", "set_max_efforts", "joint_indices"),
    ("get_body_inertias", "set_body_inertias", "body_indices"),
]
numbers = st.floats(0.125, 1.0, width=32)


def values(data, shape):
    """Draw values that PhysX takes for any quantity; inertias have to be positive definite."""
    drawn = data.draw(st.lists(numbers, min_size=int(numpy.prod(shape)), max_size=int(numpy.prod(shape))))
    tensor = torch.tensor(drawn).reshape(shape)
    if shape[-1:] == (9,):
        tensor = torch.diag_embed(tensor[..., :3] * 0.1 + 1.0).flatten(-2)
    return tensor


@pytest.mark.parametrize(("getter", "setter", "columns"), QUANTITIES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_indices_pick_rows_and_columns(view, getter, setter, columns, data):
    get, write = getattr(view, getter), getattr(view, setter)
    before = get()
    rows = data.draw(st.lists(st.integers(0, NUM_ENVS - 1), unique=True, max_size=NUM_ENVS), label="indices")
    width = before.shape[1]
    picked = {}
    which = list(range(width))
    if columns is not None:
        which = data.draw(st.lists(st.integers(0, width - 1), unique=True, min_size=1, max_size=width), label=columns)
        picked = {columns: torch.tensor(which)}

    written = values(data, (len(rows), len(which), *before.shape[2:]))
    write(written, indices=torch.tensor(rows, dtype=data.draw(st.sampled_from([torch.int32, torch.int64]))), **picked)
    after = get()

    expected = before.clone()
    for i, row in enumerate(rows):
        expected[row, which] = written[i]
    torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(get(indices=rows, **picked), after[rows][:, which])
    for j, row in enumerate(rows):
        torch.testing.assert_close(get(indices=rows)[j], after[row])


def test_indices_come_as_tensors_lists_tuples_ranges_and_arrays(view):
    view.set_joint_velocities(torch.arange(2.0 * NUM_ENVS).reshape(NUM_ENVS, 2) * 0.01)
    expected = view.get_joint_velocities()[1:3]
    for indices in (torch.tensor([1, 2]), [1, 2], (1, 2), range(1, 3), numpy.array([1, 2], dtype=numpy.int32)):
        torch.testing.assert_close(view.get_joint_velocities(indices=indices), expected)


def test_indices_that_were_changed_in_place_are_checked_again(view):
    indices = torch.tensor([0, 1])
    first = view.get_body_masses(indices=indices)
    indices[1] = NUM_ENVS
    with pytest.raises(MyriadError, match="indices must be in"):
        view.get_body_masses(indices=indices)
    names = [0]
    assert view.get_joint_positions(joint_indices=names).shape == (NUM_ENVS, 1)
    names.append(1)
    assert view.get_joint_positions(joint_indices=names).shape == (NUM_ENVS, 2)
    assert first.shape == (2, 3)


def test_indices_made_in_inference_mode_work(view):
    with torch.inference_mode():
        indices = torch.tensor([1, 0])
    assert view.get_joint_positions(indices=indices).shape == (2, 2)


def test_lists_and_arrays_are_taken_as_values(view):
    view.set_joint_efforts([[1, 2]] * NUM_ENVS)
    view.set_joint_efforts(numpy.full((1, 2), 3.0), indices=[0])
    assert view.get_applied_joint_efforts()[:2].tolist() == [[3, 3], [1, 2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"indices": [NUM_ENVS]}, r"indices must be in \[0, 5\), got 5"),
        ({"indices": [0, -1]}, r"indices must be in \[0, 5\), got -1"),
        ({"indices": torch.tensor([0.0])}, "indices must be int32 or int64, got float32"),
        ({"indices": torch.tensor([True] * 5)}, "indices must be int32 or int64, got bool"),
        ({"indices": torch.tensor([[0]])}, r"indices must have shape \(M,\), got \(1, 1\)"),
        ({"indices": 0}, r"indices must be integers of shape \(M,\), got int"),
        ({"joint_indices": [2]}, r"joint_indices must be in \[0, 2\), got 2"),
        ({"joint_names": ["wrist"]}, "joint_names has no 'wrist'; the names are: shoulder, elbow"),
    ],
)
def test_wrong_indices(view, arguments, message):
    with pytest.raises(MyriadError, match=message):
        view.get_joint_positions(**arguments)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(5, 3), r"velocities must have shape \(5, 2\), got \(5, 3\)"),
        (torch.zeros(2), r"velocities must have shape \(5, 2\), got \(2,\)"),
        (torch.zeros(5, 2, dtype=torch.float64), "velocities must be float32, got float64"),
        (torch.zeros(5, 2, dtype=torch.int64), "velocities must be float32, got int64"),
        (torch.zeros(5, 2, device="meta"), "velocities must be on cpu, got meta"),
        ("fast", r"velocities must be numbers of shape \(5, 2\), got str"),
        (None, r"velocities must be numbers of shape \(5, 2\), got NoneType"),
    ],
)
def test_wrong_values(view, values, message):
    with pytest.raises(MyriadError, match=message):
        view.set_joint_velocities(values)


def test_wrong_values_of_other_setters_name_their_argument(view):
    with pytest.raises(MyriadError, match=r"orientations must have shape \(1, 4\), got \(1, 3\)"):
        view.set_world_poses(orientations=torch.zeros(1, 3), indices=[2])
    with pytest.raises(MyriadError, match=r"kds must have shape \(5, 1\), got \(5, 2\)"):
        view.set_gains(kds=torch.zeros(5, 2), joint_indices=[0])
    with pytest.raises(MyriadError, match=r"body_indices must be in \[0, 3\), got 3"):
        view.get_body_masses(body_indices=[3])
    with pytest.raises(MyriadError, match=r"translations must have shape \(5, 3\), got \(4, 3\)"):
        view.set_local_poses(torch.zeros(4, 3))


def test_an_argument_error_is_a_value_error_and_a_myriad_error():
    with pytest.raises(ValueError, match="indices"):
        checks.as_indices("indices", [3], 3, torch.device("cpu"))
    assert issubclass(checks.ArgumentError, MyriadError)
