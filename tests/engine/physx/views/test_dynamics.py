# SPDX-License-Identifier: Apache-2.0
"""Jacobian, mass matrix, gravity and Coriolis forces, against a two-link arm worked out by hand."""

from math import cos, sin

import pytest
import torch

from omni.myriad.engine.physx import ArticulationView

from .scenes import COM_1, COM_2, GRAVITY, INERTIA_1, INERTIA_2, LENGTH_1, MASS_1, MASS_2, arm, floating_arm

POSITIONS = [(0.0, 0.0), (0.3, 0.4), (-1.0, 2.0)]
VELOCITIES = [(1.0, 2.0), (0.5, -1.5), (-2.0, 0.25)]


@pytest.fixture(scope="module")
def view(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "arms")
    simulate(arm, view)
    view.set_joint_positions(torch.tensor(POSITIONS))
    view.set_joint_velocities(torch.tensor(VELOCITIES))
    return view


@pytest.fixture(scope="module")
def floating(simulate):
    view = ArticulationView("/World/envs/.*/Float", "floats")
    simulate(floating_arm, view)
    return view


def jacobian(q1, q2):
    """Rows: linear velocity of the centre of mass, angular velocity; the arm points along (cos, 0, -sin)."""
    a, b = q1, q1 + q2
    upper = [[-COM_1 * sin(a), 0], [0, 0], [-COM_1 * cos(a), 0], [0, 0], [1, 0], [0, 0]]
    elbow = (-LENGTH_1 * sin(a), -LENGTH_1 * cos(a))
    tip = (-COM_2 * sin(b), -COM_2 * cos(b))
    lower = [[elbow[0] + tip[0], tip[0]], [0, 0], [elbow[1] + tip[1], tip[1]], [0, 0], [1, 1], [0, 0]]
    return [upper, lower]


def mass_matrix(q2):
    both = INERTIA_2 + MASS_2 * (COM_2**2 + LENGTH_1 * COM_2 * cos(q2))
    last = INERTIA_2 + MASS_2 * COM_2**2
    first = INERTIA_1 + MASS_1 * COM_1**2 + last + MASS_2 * (LENGTH_1**2 + 2 * LENGTH_1 * COM_2 * cos(q2))
    return [[first, both], [both, last]]


def test_jacobian_of_the_two_link_arm(view):
    # The fixed base has no rows, and there are only joint columns.
    assert view.get_jacobian_shape() == (2, 6, 2)
    expected = torch.tensor([jacobian(*q) for q in POSITIONS])
    torch.testing.assert_close(view.get_jacobians(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(view.get_jacobians(indices=[2, 0]), expected[[2, 0]], atol=1e-5, rtol=1e-5)


def test_jacobian_times_joint_velocities_is_link_velocities(view):
    expected = view.get_body_velocities()[:, 1:]
    velocities = torch.einsum("nlij,nj->nli", view.get_jacobians(), view.get_joint_velocities())
    torch.testing.assert_close(velocities, expected, atol=1e-5, rtol=1e-5)


def test_mass_matrix_of_the_two_link_arm(view):
    assert view.get_mass_matrix_shape() == (2, 2)
    expected = torch.tensor([mass_matrix(q2) for _, q2 in POSITIONS])
    torch.testing.assert_close(view.get_mass_matrices(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(view.get_mass_matrices(indices=[1]), expected[1:2], atol=1e-5, rtol=1e-5)


def test_gravity_forces_hold_the_arm(view):
    rows = []
    for q1, q2 in POSITIONS:
        last = -MASS_2 * GRAVITY * COM_2 * cos(q1 + q2)
        rows.append([last - (MASS_1 * COM_1 + MASS_2 * LENGTH_1) * GRAVITY * cos(q1), last])
    expected = torch.tensor(rows)
    torch.testing.assert_close(view.get_generalized_gravity_forces(), expected, atol=1e-4, rtol=1e-4)
    elbow = view.get_generalized_gravity_forces(indices=[1, 2], joint_names=["elbow"])
    torch.testing.assert_close(elbow, expected[1:, 1:], atol=1e-4, rtol=1e-4)


def test_coriolis_and_centrifugal_forces(view):
    rows = []
    for (_, q2), (v1, v2) in zip(POSITIONS, VELOCITIES, strict=True):
        h = MASS_2 * LENGTH_1 * COM_2 * sin(q2)
        rows.append([-h * (2 * v1 * v2 + v2**2), h * v1**2])
    forces = view.get_coriolis_and_centrifugal_forces()
    torch.testing.assert_close(forces, torch.tensor(rows), atol=1e-4, rtol=1e-4)


def test_efforts_that_balance_gravity_keep_the_arm_still(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "still")
    engine = simulate(arm, view, num_envs=1)
    view.set_joint_positions(torch.tensor([[0.3, 0.4]]))
    view.set_joint_velocities(torch.zeros(1, 2))
    view.set_joint_efforts(view.get_generalized_gravity_forces())
    engine.step(10)
    torch.testing.assert_close(view.get_joint_velocities(), torch.zeros(1, 2), atol=1e-3, rtol=0)


def test_floating_base_gravity_is_that_of_the_joints_and_not_of_the_root(floating):
    # The link's weight acts 0.5 m from the hinge. The root's entries, which come first, start with zeros.
    expected = torch.full((3, 1), -0.5 * GRAVITY * 0.5)
    torch.testing.assert_close(floating.get_generalized_gravity_forces(), expected, atol=1e-4, rtol=1e-4)
    by_name = floating.get_generalized_gravity_forces(joint_names=["hinge"])
    torch.testing.assert_close(by_name, expected, atol=1e-4, rtol=1e-4)


def test_floating_base_coriolis_is_that_of_the_joints(floating):
    floating.set_velocities(torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 2.0]]).repeat(3, 1))
    floating.set_joint_velocities(torch.full((3, 1), 3.0))
    forces = floating.get_coriolis_and_centrifugal_forces()
    # Planar rotation about z cannot load a hinge about y while the link lies in the x-y plane.
    torch.testing.assert_close(forces, torch.zeros(3, 1), atol=1e-5, rtol=0)
    whole = floating._quantity("ARTICULATION_CORIOLIS_AND_CENTRIFUGAL_FORCE").read()
    assert whole.shape == (3, 7)
    assert whole[:, :6].abs().max() > 0.1


def test_floating_base_shapes_count_the_root(floating):
    assert floating.get_jacobian_shape() == (2, 6, 7)
    assert floating.get_jacobians().shape == (3, 2, 6, 7)
    assert floating.get_mass_matrix_shape() == (7, 7)
    assert floating.get_mass_matrices().shape == (3, 7, 7)
    # The first entry of the diagonal is the whole mass.
    torch.testing.assert_close(floating.get_mass_matrices()[:, 0, 0], torch.full((3,), 1.5))
