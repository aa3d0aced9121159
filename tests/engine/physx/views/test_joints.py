# SPDX-License-Identifier: Apache-2.0
"""Joint states, targets and efforts."""

import math

import pytest
import torch

from omni.myriad.engine.physx import ArticulationView
from omni.myriad.engine.view import ArticulationActions
from omni.myriad.errors import MyriadError

from .scenes import DT, GRAVITY, MASS_1, MASS_2, arm, driven_arm
from .test_dynamics import mass_matrix


@pytest.fixture(scope="module")
def world(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "arms")
    return simulate(arm, view, gravity=0.0), view


@pytest.fixture
def view(world):
    view = world[1]
    for write in (view.set_joint_positions, view.set_joint_velocities, view.set_joint_efforts):
        write(torch.zeros(3, 2))
    return view


def targets(view):
    actions = view.get_applied_actions()
    return actions.joint_positions, actions.joint_velocities


def test_positions_become_position_targets_too(view):
    values = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    view.set_joint_positions(values)
    torch.testing.assert_close(view.get_joint_positions(), values)
    torch.testing.assert_close(targets(view)[0], values)
    view.set_joint_positions(torch.tensor([[-1.0]]), indices=[1], joint_names=["elbow"])
    values[1, 1] = -1.0
    torch.testing.assert_close(view.get_joint_positions(), values)
    torch.testing.assert_close(targets(view)[0], values)


def test_velocities_become_velocity_targets_too(view):
    values = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    view.set_joint_velocities(values)
    torch.testing.assert_close(view.get_joint_velocities(), values)
    torch.testing.assert_close(targets(view)[1], values)
    torch.testing.assert_close(targets(view)[0], torch.zeros(3, 2))


def test_targets_alone_move_nothing(view):
    view.set_joint_position_targets(torch.ones(3, 2))
    view.set_joint_velocity_targets(torch.full((3, 1), 2.0), joint_indices=[0])
    assert view.get_joint_positions().abs().max() == 0
    assert view.get_joint_velocities().abs().max() == 0
    torch.testing.assert_close(targets(view)[0], torch.ones(3, 2))
    torch.testing.assert_close(targets(view)[1], torch.tensor([[2.0, 0.0]]).repeat(3, 1))


def test_efforts_accelerate_by_the_inverse_mass_matrix_until_overwritten(world, view):
    engine, _ = world
    efforts = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, -0.2]])
    view.set_joint_efforts(efforts)
    engine.step()
    expected = efforts @ torch.linalg.inv(torch.tensor(mass_matrix(0.0))) * DT
    torch.testing.assert_close(view.get_joint_velocities(), expected, atol=1e-5, rtol=1e-3)
    engine.step()
    torch.testing.assert_close(view.get_joint_velocities(), 2 * expected, atol=1e-4, rtol=1e-2)
    torch.testing.assert_close(view.get_applied_joint_efforts(), efforts)
    view.set_joint_efforts(torch.zeros(1, 2), indices=[0])
    torch.testing.assert_close(view.get_applied_joint_efforts(), efforts * torch.tensor([[0.0], [1.0], [1.0]]))


def test_efforts_need_all_joints_in_any_order(view):
    # Isaac Sim up to 5.1 zeroes the efforts of joints left out, 6.0 keeps them.
    with pytest.raises(MyriadError, match="efforts must be given for all 2 joints, got 1"):
        view.set_joint_efforts(torch.zeros(3, 1), joint_names=["elbow"])
    with pytest.raises(MyriadError, match="all 2 joints, got 1"):
        view.apply_action(ArticulationActions(joint_efforts=torch.zeros(3, 1), joint_indices=[0]))
    view.set_joint_efforts(torch.tensor([[1.0, 2.0]]).repeat(3, 1), joint_names=["elbow", "shoulder"])
    torch.testing.assert_close(view.get_applied_joint_efforts(), torch.tensor([[2.0, 1.0]]).repeat(3, 1))
    by_name = view.get_applied_joint_efforts(joint_names=["elbow"])
    torch.testing.assert_close(by_name, torch.tensor([[1.0]]).repeat(3, 1))


def test_apply_action_writes_what_it_has(view):
    view.set_joint_efforts(torch.full((3, 2), 3.0))
    action = ArticulationActions(
        joint_positions=torch.tensor([[0.5]]), joint_velocities=torch.tensor([[0.25]]), joint_names=["elbow"]
    )
    view.apply_action(action, indices=[2])
    positions, velocities = targets(view)
    assert positions.tolist() == [[0, 0], [0, 0], [0, 0.5]]
    assert velocities.tolist() == [[0, 0], [0, 0], [0, 0.25]]
    torch.testing.assert_close(view.get_applied_actions().joint_efforts, torch.full((3, 2), 3.0))
    view.apply_action(ArticulationActions(joint_efforts=torch.ones(3, 2)))
    torch.testing.assert_close(view.get_applied_joint_efforts(), torch.ones(3, 2))
    assert view.get_joint_positions().abs().max() == 0


def test_names_and_indices_cannot_both_be_given(view):
    with pytest.raises(MyriadError, match="cannot both"):
        view.get_joint_positions(joint_indices=[0], joint_names=["elbow"])
    with pytest.raises(MyriadError, match="cannot both"):
        view.get_measured_joint_forces(joint_indices=[0], joint_names=["elbow"])


def test_joints_state_has_no_efforts(view):
    view.set_joint_positions(torch.ones(3, 2))
    state = view.get_joints_state()
    torch.testing.assert_close(state.positions, torch.ones(3, 2))
    torch.testing.assert_close(state.velocities, torch.zeros(3, 2))
    assert state.efforts is None


def test_buffer_of_a_getter_is_overwritten_by_the_next_reading(view):
    buffer, copy = view.get_joint_positions(clone=False), view.get_joint_positions()
    view.set_joint_positions(torch.ones(3, 2))
    view.get_joint_positions()
    torch.testing.assert_close(buffer, torch.ones(3, 2))
    torch.testing.assert_close(copy, torch.zeros(3, 2))


def test_a_write_does_not_keep_a_graph(view):
    view.set_joint_efforts(torch.zeros(3, 2, requires_grad=True))
    assert not view.get_applied_joint_efforts().requires_grad


def test_usd_counts_degrees_and_views_count_radians(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "driven")
    simulate(driven_arm, view, num_envs=1)
    stiffness, damping = view.get_gains()
    per_degree = 180 / math.pi
    torch.testing.assert_close(stiffness, torch.tensor([[10.0, 20.0]]) * per_degree)
    torch.testing.assert_close(damping, torch.full((1, 2), per_degree))
    torch.testing.assert_close(targets(view)[0], torch.tensor([[0.0, math.pi / 2]]))
    torch.testing.assert_close(view.get_joint_max_velocities(), torch.full((1, 2), math.radians(100.0)))
    limits = torch.tensor([[[-math.pi / 2, math.pi]] * 2])
    torch.testing.assert_close(view.get_dof_limits(), limits)


def test_measured_forces_carry_the_weight_of_what_hangs_below(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "hanging")
    engine = simulate(arm, view, num_envs=2)
    straight_down = torch.tensor([[math.pi / 2, 0.0]]).repeat(2, 1)
    view.set_joint_positions(straight_down)
    engine.step(2)
    forces = view.get_measured_joint_forces()
    assert forces.shape == (2, 3, 6)
    # A row per link, so a joint's force is found one further than the joint.
    for index, (name, mass) in enumerate((("shoulder", MASS_1 + MASS_2), ("elbow", MASS_2))):
        assert view.get_joint_index(name) == index
        by_name = view.get_measured_joint_forces(joint_names=[name])
        torch.testing.assert_close(by_name, forces[:, index + 1 : index + 2])
        weight = by_name[..., :3].norm(dim=-1)
        torch.testing.assert_close(weight, torch.full((2, 1), mass * GRAVITY), atol=0.05, rtol=0)
    torch.testing.assert_close(view.get_measured_joint_forces(indices=[1], joint_indices=[2, 0]), forces[1:, [2, 0]])
    torch.testing.assert_close(forces[:, 1:, 3:], torch.zeros(2, 2, 3), atol=0.05, rtol=0)


def test_measured_efforts_are_what_acts_along_the_joints(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "held")
    engine = simulate(arm, view, num_envs=1)
    holding = view.get_generalized_gravity_forces()
    view.set_joint_efforts(holding)
    engine.step()
    torch.testing.assert_close(view.get_measured_joint_efforts(), holding, atol=0.05, rtol=0.01)
    elbow = view.get_measured_joint_efforts(joint_names=["elbow"])
    torch.testing.assert_close(elbow, view.get_measured_joint_efforts()[:, 1:])
