# SPDX-License-Identifier: Apache-2.0
"""Default states, returning to them, and pausing."""

import logging

import pytest
import torch

from omni.myriad.engine.physx import ArticulationView
from omni.myriad.errors import MyriadError

from .scenes import driven_arm, floating_arm


@pytest.fixture(scope="module")
def floating(simulate):
    view = ArticulationView("/World/envs/.*/Float", "floats")
    return simulate(floating_arm, view), view


@pytest.fixture(scope="module")
def driven(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "arms")
    return simulate(driven_arm, view), view


def test_the_default_state_is_what_physics_starts_with(floating, driven):
    engine, view = floating
    state = view.get_default_state()
    torch.testing.assert_close(state.positions, engine.env_positions + torch.tensor([0.0, 0.0, 2.0]))
    torch.testing.assert_close(state.orientations, torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(3, 1))
    # Of joints, the targets count, as in Isaac Sim: the elbow's drive aims at 90 degrees and stands at 0.
    joints = driven[1].get_joints_default_state()
    torch.testing.assert_close(joints.positions, torch.tensor([[0.0, torch.pi / 2]]).repeat(3, 1))
    torch.testing.assert_close(joints.velocities, torch.zeros(3, 2))
    torch.testing.assert_close(joints.efforts, torch.zeros(3, 2))


def test_post_reset_returns_to_the_default_state(floating):
    engine, view = floating
    start = view.get_default_state().positions
    view.set_default_state(positions=torch.tensor([[1.0, 2.0, 3.0]]), indices=[1])
    view.set_joints_default_state(positions=torch.full((3, 1), 0.25), velocities=torch.full((3, 1), 0.5))
    view.switch_control_mode("effort")
    view.set_joint_efforts(torch.ones(3, 1))
    engine.step(20)
    view.post_reset()
    expected = start.clone()
    expected[1] = torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(view.get_world_poses()[0], expected)
    torch.testing.assert_close(view.get_velocities(), torch.zeros(3, 6))
    torch.testing.assert_close(view.get_joint_positions(), torch.full((3, 1), 0.25))
    torch.testing.assert_close(view.get_joint_velocities(), torch.full((3, 1), 0.5))
    torch.testing.assert_close(view.get_applied_joint_efforts(), torch.zeros(3, 1))


def test_default_states_are_checked(floating):
    _, view = floating
    with pytest.raises(MyriadError, match=r"positions must have shape \(3, 1\), got \(2, 1\)"):
        view.set_joints_default_state(positions=torch.zeros(2, 1))
    with pytest.raises(MyriadError, match=r"orientations must have shape \(1, 4\), got \(1, 3\)"):
        view.set_default_state(orientations=torch.zeros(1, 3), indices=[0])


def test_poses_of_the_constructor_are_written_when_physics_starts(simulate):
    positions = torch.tensor([[0.0, 0.0, 5.0], [1.0, 0.0, 5.0], [2.0, 0.0, 5.0]])
    view = ArticulationView("/World/envs/.*/Float", "placed", positions=positions)
    simulate(floating_arm, view)
    torch.testing.assert_close(view.get_world_poses()[0], positions)
    torch.testing.assert_close(view.get_default_state().positions, positions)
    with pytest.raises(MyriadError, match="positions and translations"):
        ArticulationView("/World/envs/.*/Float", positions=positions, translations=positions)


def test_translations_of_the_constructor_are_in_the_frame_of_the_parent(simulate):
    translations = torch.tensor([[0.0, 0.0, 5.0]]).repeat(3, 1)
    view = ArticulationView("/World/envs/.*/Float", "translated", translations=translations)
    engine = simulate(floating_arm, view)
    torch.testing.assert_close(view.get_world_poses()[0], engine.env_positions + translations)


def test_resume_restores_what_pause_stopped(driven):
    # Isaac Sim keeps the buffers of its getters here, which pausing itself overwrites.
    engine, view = driven
    view.set_joint_positions(torch.zeros(3, 2))
    view.set_joint_velocities(torch.full((3, 2), 0.3))
    view.set_joint_position_targets(torch.full((3, 2), 0.4))
    view.set_joint_velocity_targets(torch.full((3, 2), 0.6))
    view.pause_motion()
    actions = view.get_applied_actions()
    torch.testing.assert_close(view.get_joint_velocities(), torch.zeros(3, 2))
    torch.testing.assert_close(actions.joint_positions, view.get_joint_positions())
    torch.testing.assert_close(actions.joint_velocities, torch.zeros(3, 2))
    engine.step(5)
    view.resume_motion()
    actions = view.get_applied_actions()
    torch.testing.assert_close(view.get_joint_velocities(), torch.full((3, 2), 0.3))
    torch.testing.assert_close(actions.joint_positions, torch.full((3, 2), 0.4))
    torch.testing.assert_close(actions.joint_velocities, torch.full((3, 2), 0.6))


def test_resume_without_a_pause_warns(driven, caplog):
    with caplog.at_level(logging.WARNING):
        driven[1].resume_motion()
    assert "not paused" in caplog.text
