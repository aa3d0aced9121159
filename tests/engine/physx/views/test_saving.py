# SPDX-License-Identifier: Apache-2.0
"""States of views, saved and written back."""

import pytest
import torch

from omni.myriad.engine.physx import ArticulationView, RigidPrimView
from omni.myriad.errors import MyriadError

from .scenes import floating_arm


@pytest.fixture(scope="module")
def world(simulate):
    robots = ArticulationView("/World/envs/.*/Float", "robots")
    links = RigidPrimView("/World/envs/.*/Float/link", "links")
    roots = RigidPrimView("/World/envs/.*/Float/root", "roots")
    return simulate(floating_arm, robots, links, roots, shards=2), robots, links, roots


def shaken(engine, robots):
    """Put robots into a state of which every part is different in every environment, and return it."""
    generator = torch.Generator().manual_seed(5)
    engine.step()
    robots.set_gains(torch.full((3, 1), 2.0), torch.full((3, 1), 0.3))
    robots.set_velocities(torch.rand(3, 6, generator=generator))
    robots.set_joint_positions(torch.rand(3, 1, generator=generator))
    robots.set_joint_velocities(torch.rand(3, 1, generator=generator))
    robots.set_joint_position_targets(torch.rand(3, 1, generator=generator))
    robots.set_joint_velocity_targets(torch.rand(3, 1, generator=generator))
    robots.set_joint_efforts(torch.rand(3, 1, generator=generator))
    engine.step()
    return engine.get_state()["robots"]


def test_a_robot_goes_on_from_the_state_that_was_saved(world):
    engine, robots, *_ = world
    saved = shaken(engine, robots)
    assert sorted(saved) == [
        *("efforts", "joint_positions", "joint_velocities"),
        *("orientations", "position_targets", "positions", "velocities", "velocity_targets"),
    ]
    copies = {name: values.clone() for name, values in saved.items()}
    engine.step(10)
    ahead = engine.get_state()["robots"]
    for setter in (robots.set_joint_position_targets, robots.set_joint_velocity_targets, robots.set_joint_efforts):
        setter(torch.zeros(3, 1))
    engine.set_state({"robots": saved})
    for name, values in engine.get_state()["robots"].items():
        torch.testing.assert_close(values, copies[name], msg=lambda text, name=name: f"{name}: {text}")
        torch.testing.assert_close(saved[name], copies[name], rtol=0, atol=0)  # none of them was a buffer
    engine.step(10)
    for name, values in engine.get_state()["robots"].items():
        torch.testing.assert_close(
            values, ahead[name], rtol=1e-4, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_bodies_go_back_but_links_are_left_to_their_robot(world):
    engine, robots, *_ = world
    robot, root, link = shaken(engine, robots), engine.get_state()["roots"], engine.get_state()["links"]
    assert sorted(root) == sorted(link) == ["orientations", "positions", "velocities"]
    engine.step(10)
    moved = robots.get_joint_positions()
    engine.set_state({"links": link})
    torch.testing.assert_close(robots.get_joint_positions(), moved, rtol=0, atol=0)
    engine.set_state({"roots": root})
    torch.testing.assert_close(robots.get_world_poses()[0], robot["positions"])
    torch.testing.assert_close(robots.get_velocities(), robot["velocities"])


def test_there_is_no_state_before_physics_runs(simulate):
    view = ArticulationView("/World/envs/.*/Float", "early")
    engine = simulate(floating_arm, view, start=False)
    with pytest.raises(MyriadError, match="no state before physics runs"):
        engine.get_state()
