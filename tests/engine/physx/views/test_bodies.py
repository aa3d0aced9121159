# SPDX-License-Identifier: Apache-2.0
"""Links of articulations: where they are, how fast, how heavy."""

from math import cos, sin

import pytest
import torch
from pxr import Gf, UsdPhysics

from omni.myriad.engine.physx import ArticulationView

from .scenes import BASE_HEIGHT, COM_1, COM_2, DT, ENV_0, GRAVITY, LENGTH_1, MASS_1, MASS_2, arm


@pytest.fixture(scope="module")
def world(simulate):
    def build(stage):
        arm(stage)
        masses = UsdPhysics.MassAPI(stage.GetPrimAtPath(f"{ENV_0}/Arm/base"))
        masses.CreatePrincipalAxesAttr(Gf.Quatf(cos(0.2), 0.0, 0.0, sin(0.2)))
        masses.CreateDiagonalInertiaAttr(Gf.Vec3f(1.0, 2.0, 3.0))

    view = ArticulationView("/World/envs/.*/Arm", "arms")
    return simulate(build, view), view


@pytest.fixture
def view(world):
    return world[1]


def test_poses_of_links_follow_the_joints_at_once(world, view):
    engine, _ = world
    view.set_joint_positions(torch.tensor([[0.3, 0.4], [0.0, 0.0], [-1.0, 0.5]]))
    positions, orientations = view.get_body_poses()
    assert positions.shape == (3, 3, 3) and orientations.shape == (3, 3, 4)
    elbow = torch.tensor([LENGTH_1 * cos(0.3), 0.0, BASE_HEIGHT - LENGTH_1 * sin(0.3)])
    torch.testing.assert_close(positions[0, 2] - engine.env_positions[0], elbow, atol=1e-5, rtol=0)
    # The lower link has turned by 0.7 rad about y.
    torch.testing.assert_close(orientations[0, 2], torch.tensor([cos(0.35), 0.0, sin(0.35), 0.0]), atol=1e-5, rtol=0)
    some = view.get_body_poses(indices=[2, 0], body_indices=[1])
    torch.testing.assert_close(some[0], positions[[2, 0], 1:2])
    torch.testing.assert_close(some[1], orientations[[2, 0], 1:2])


def test_velocities_of_links_are_those_of_their_centres_of_mass(view):
    view.set_joint_positions(torch.zeros(3, 2))
    view.set_joint_velocities(torch.tensor([[1.0, 2.0]]).repeat(3, 1))
    velocities = view.get_body_velocities(body_indices=[1, 2])
    # Turning about +y lowers what lies along +x.
    upper = [0.0, 0.0, -COM_1, 0.0, 1.0, 0.0]
    lower = [0.0, 0.0, -(LENGTH_1 + COM_2) * 1.0 - COM_2 * 2.0, 0.0, 3.0, 0.0]
    torch.testing.assert_close(velocities, torch.tensor([[upper, lower]]).repeat(3, 1, 1), atol=1e-5, rtol=0)
    view.set_joint_velocities(torch.zeros(3, 2))


def test_masses(view):
    torch.testing.assert_close(view.get_body_masses(), torch.tensor([[1.0, MASS_1, MASS_2]]).repeat(3, 1))
    view.set_body_masses(torch.tensor([[4.0], [8.0]]), indices=[2, 0], body_indices=[1])
    expected = torch.tensor([[1.0, 8.0, MASS_2], [1.0, MASS_1, MASS_2], [1.0, 4.0, MASS_2]])
    torch.testing.assert_close(view.get_body_masses(), expected)
    torch.testing.assert_close(view.get_body_inv_masses(), 1 / expected)
    # The joints feel it: a mass matrix read before must not be returned again.
    changed = view.get_mass_matrices()[:, 0, 0]
    torch.testing.assert_close(changed[0] - changed[1], torch.tensor((8.0 - MASS_1) * COM_1**2), atol=1e-4, rtol=0)
    view.set_body_masses(torch.tensor([[1.0, MASS_1, MASS_2]]).repeat(3, 1))
    torch.testing.assert_close(view.get_mass_matrices()[:, 0, 0], changed[1].expand(3), atol=1e-4, rtol=0)


def test_inertias_are_full_matrices_in_the_frame_of_the_link(view):
    turn = torch.tensor([[cos(0.4), -sin(0.4), 0.0], [sin(0.4), cos(0.4), 0.0], [0.0, 0.0, 1.0]])
    expected = turn @ torch.diag(torch.tensor([1.0, 2.0, 3.0])) @ turn.T
    inertias = view.get_body_inertias()
    assert inertias.shape == (3, 3, 9)
    torch.testing.assert_close(inertias[1, 0].reshape(3, 3), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(view.get_body_inv_inertias()[1, 0].reshape(3, 3), expected.inverse(), atol=1e-4, rtol=0)

    tensor = torch.tensor([1.0, 0.1, 0.2, 0.1, 2.0, 0.3, 0.2, 0.3, 3.0])
    view.set_body_inertias(tensor.expand(1, 1, 9), indices=[1], body_indices=[2])
    torch.testing.assert_close(view.get_body_inertias()[1, 2], tensor, atol=1e-4, rtol=0)
    torch.testing.assert_close(view.get_body_inertias()[[0, 2]], inertias[[0, 2]])
    view.set_body_inertias(inertias)


def test_centres_of_mass_are_scalar_first(view):
    positions, orientations = view.get_body_coms()
    torch.testing.assert_close(positions[:, 1], torch.tensor([[COM_1, 0.0, 0.0]]).repeat(3, 1))
    torch.testing.assert_close(orientations[:, 1], torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(3, 1))
    view.set_body_coms(positions=torch.tensor([[[0.1, 0.2, 0.3]]]), indices=[1], body_indices=[1])
    quarter = torch.tensor([[[0.5**0.5, 0.0, 0.0, 0.5**0.5]]])
    view.set_body_coms(orientations=quarter, indices=[1], body_indices=[1])
    moved, turned = view.get_body_coms(indices=[1], body_indices=[1])
    torch.testing.assert_close(moved, torch.tensor([[[0.1, 0.2, 0.3]]]))
    torch.testing.assert_close(turned, quarter)
    torch.testing.assert_close(view.get_body_coms()[0][[0, 2]], positions[[0, 2]])
    view.set_body_coms(positions, orientations)


def test_a_robot_without_gravity_stays(world, view):
    engine, _ = world
    assert view.get_body_disable_gravity().tolist() == [[0, 0, 0]] * 3
    view.set_joint_positions(torch.zeros(3, 2))
    view.set_body_disable_gravity(torch.ones(1, 3, dtype=torch.uint8), indices=[1])
    assert view.get_body_disable_gravity(indices=[1, 0], body_indices=[2]).tolist() == [[1], [0]]
    engine.step()
    speeds = view.get_joint_velocities().abs().amax(1)
    assert speeds[1] < 1e-6
    assert speeds[0] > 0.5 * GRAVITY * DT
    view.set_body_disable_gravity(torch.zeros(3, 3, dtype=torch.bool))
    assert view.get_body_disable_gravity().sum() == 0
