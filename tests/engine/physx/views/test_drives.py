# SPDX-License-Identifier: Apache-2.0
"""Gains, control modes, limits, maxima, armature and friction of joints."""

import math

import pytest
import torch

from omni.myriad.engine.physx import ArticulationView
from omni.myriad.engine.view import DofType
from omni.myriad.errors import MyriadError

from .scenes import DT, ENV_0, arm, body, drive, driven_arm
from .test_dynamics import mass_matrix


@pytest.fixture(scope="module")
def world(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "arms")
    return simulate(driven_arm, view, gravity=0.0), view


@pytest.fixture
def view(world):
    view = world[1]
    view.set_gains(torch.full((3, 2), 5.0), torch.full((3, 2), 0.5))
    return view


def test_gains_of_some_joints_leave_the_others(view):
    view.set_gains(kps=torch.tensor([[1.0], [2.0]]), indices=[0, 2], joint_names=["elbow"])
    stiffness, damping = view.get_gains()
    assert stiffness.tolist() == [[5, 1], [5, 5], [5, 2]]
    assert damping.tolist() == [[0.5, 0.5]] * 3
    view.set_gains(kds=torch.zeros(3, 2))
    stiffness, damping = view.get_gains(indices=[2], joint_indices=[1])
    assert (stiffness.tolist(), damping.tolist()) == ([[2]], [[0]])


def test_targets_that_no_drive_follows_arrive_when_one_does(simulate):
    view, other = (ArticulationView("/World/envs/.*/Arm", name) for name in ("arms", "others"))
    engine = simulate(driven_arm, view, other, gravity=0.0)
    zeros, everyone = torch.zeros(3, 2), torch.arange(3)
    view.set_gains(zeros, zeros)
    view.set_joint_positions(zeros)
    view.set_joint_velocities(zeros)
    with engine.capture.only(torch.tensor([True, False, True])):
        view.set_joint_position_targets(torch.full((3, 2), 0.3), indices=everyone)
    view.set_joint_position_targets(torch.full((1, 2), -0.2), indices=[1])
    engine.step(60)
    torch.testing.assert_close(view.get_joint_positions(), zeros, atol=1e-4, rtol=0.0)
    wanted = torch.tensor([[0.3, 0.3], [-0.2, -0.2], [0.3, 0.3]])
    torch.testing.assert_close(other.get_applied_actions().joint_positions, wanted)
    view.set_joint_position_targets(2.0 * wanted)  # put off again
    engine.step()
    other.set_gains(torch.full((3, 2), 50.0), torch.full((3, 2), 5.0))
    engine.step(600)
    torch.testing.assert_close(view.get_joint_positions(), 2.0 * wanted, atol=5e-2, rtol=0.0)


def test_gains_cannot_be_saved_to_usd(view):
    with pytest.raises(NotImplementedError, match="save_to_usd"):
        view.set_gains(kps=torch.zeros(3, 2), save_to_usd=True)


def test_control_modes_drop_gains_and_bring_them_back(view):
    view.switch_control_mode("velocity")
    assert [gains.unique().tolist() for gains in view.get_gains()] == [[0], [0.5]]
    view.switch_control_mode("effort", indices=[1])
    assert view.get_gains()[1].tolist() == [[0.5, 0.5], [0, 0], [0.5, 0.5]]
    view.switch_control_mode("position")
    assert [gains.unique().tolist() for gains in view.get_gains()] == [[5], [0.5]]
    view.switch_control_mode("effort", indices=[0, 1], joint_names=["elbow"])
    assert view.get_gains()[0].tolist() == [[5, 0], [5, 0], [5, 5]]
    view.switch_dof_control_mode("position", 1, indices=[0])
    assert view.get_gains()[0].tolist() == [[5, 5], [5, 0], [5, 5]]
    view.switch_dof_control_mode("velocity", dof_index=0)
    assert view.get_gains()[0].tolist() == [[0, 5], [0, 0], [0, 5]]


def test_set_gains_changes_what_a_control_mode_returns_to(view):
    view.set_gains(kps=torch.full((1, 1), 7.0), indices=[1], joint_indices=[0])
    view.switch_control_mode("effort")
    view.switch_control_mode("position")
    assert view.get_gains()[0].tolist() == [[5, 5], [7, 5], [5, 5]]


def test_unknown_modes_name_the_known_ones(view):
    with pytest.raises(MyriadError, match="mode must be one of position, velocity, effort, got 'torque'"):
        view.switch_control_mode("torque")
    with pytest.raises(MyriadError, match="mode must be one of force, acceleration, got 'effort'"):
        view.set_effort_modes("effort")


def test_limits_and_drive_types_stay_on_the_cpu_as_copies(view):
    limits, types = view.get_dof_limits(), view.get_drive_types()
    assert limits.shape == (3, 2, 2) and limits.device.type == "cpu" and limits.dtype == torch.float32
    assert types.tolist() == [[1, 1]] * 3 and types.device.type == "cpu" and types.dtype == torch.uint8
    limits.zero_()
    assert view.get_dof_limits().abs().min() > 1


def test_effort_modes_are_set_before_physics_starts(simulate, view):
    assert view.get_effort_modes() == [["force", "force"]] * 3
    with pytest.raises(NotImplementedError, match="when it starts"):
        view.set_effort_modes("acceleration")

    other = ArticulationView("/World/envs/.*/Arm", "accelerated")
    engine = simulate(driven_arm, other, num_envs=2, start=False)
    with pytest.raises(NotImplementedError, match="joint_names"):
        other.set_effort_modes("acceleration", indices=[0])
    with pytest.raises(MyriadError, match="joint_names has no 'wrist'; the names are: fixed, shoulder, elbow"):
        other.set_effort_modes("acceleration", joint_names=["wrist"])
    other.set_effort_modes("acceleration", joint_names=["elbow"])
    engine.reset()
    assert other.get_effort_modes(joint_names=["elbow", "shoulder"]) == [["acceleration", "force"]] * 2
    assert other.get_effort_modes(indices=[1], joint_indices=[0]) == [["force"]]


def test_a_joint_without_a_drive_has_type_zero(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "undriven")
    simulate(arm, view, num_envs=1)
    assert view.get_drive_types().tolist() == [[0, 0]]
    assert view.get_effort_modes() == [["force", "force"]]


@pytest.mark.parametrize(
    ("getter", "setter", "initial"),
    [
        ("get_max_efforts", "set_max_efforts", 50.0),
        ("get_joint_max_velocities", "set_max_joint_velocities", math.radians(100.0)),
        ("get_armatures", "set_armatures", 0.25),
        ("get_friction_coefficients", "set_friction_coefficients", 0.0),
    ],
)
def test_properties_of_joints(view, getter, setter, initial):
    get, write = getattr(view, getter), getattr(view, setter)
    torch.testing.assert_close(get(), torch.full((3, 2), initial))
    write(torch.tensor([[1.0], [2.0]]), indices=[2, 0], joint_names=["elbow"])
    torch.testing.assert_close(get(), torch.tensor([[initial, 2.0], [initial, initial], [initial, 1.0]]))
    torch.testing.assert_close(get(indices=[0], joint_indices=[1, 0]), torch.tensor([[2.0, initial]]))
    write(torch.full((3, 2), initial))
    torch.testing.assert_close(get(), torch.full((3, 2), initial))


def test_armature_adds_to_the_mass_matrix(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "heavy")
    engine = simulate(arm, view, num_envs=2, gravity=0.0)
    view.set_armatures(torch.tensor([[1.0, 1.0]]), indices=[1])
    view.set_joint_efforts(torch.ones(2, 2))
    engine.step()
    masses = torch.tensor(mass_matrix(0.0)).repeat(2, 1, 1)
    masses[1] += torch.eye(2)
    expected = torch.linalg.solve(masses, torch.ones(2, 2)) * DT
    torch.testing.assert_close(view.get_joint_velocities(), expected, atol=1e-5, rtol=1e-3)


def test_friction_holds_against_a_smaller_effort(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "rusty")
    engine = simulate(arm, view, num_envs=3, gravity=0.0)
    view.set_friction_coefficients(torch.tensor([[0.0, 0.0], [10.0, 10.0], [0.5, 0.5]]))
    view.set_joint_efforts(torch.tensor([[1.0, 1.0]]).repeat(3, 1))
    engine.step(5)
    free, held, slowed = view.get_joint_velocities()
    assert held.abs().max() < 1e-4
    # The shoulder is dragged backwards, so that friction helps the effort there and opposes it at the elbow.
    assert free[0] < 0 < free[1]
    net = torch.tensor([1.0 + 0.5, 1.0 - 0.5])
    expected = torch.linalg.solve(torch.tensor(mass_matrix(0.0)), net) * 5 * DT
    torch.testing.assert_close(slowed, expected, atol=0, rtol=0.05)


def test_max_effort_bounds_the_drive(simulate):
    def build(stage):
        arm(stage)
        for name in ("shoulder", "elbow"):
            drive(stage.GetPrimAtPath(f"{ENV_0}/Arm/{name}"), 1000.0, 0.0)

    view = ArticulationView("/World/envs/.*/Arm", "strong")
    engine = simulate(build, view, num_envs=2, gravity=0.0)
    view.set_max_efforts(torch.full((1, 2), 1e-6), indices=[1])
    view.set_joint_position_targets(torch.full((2, 2), 0.5))
    engine.step(3)
    moved = view.get_joint_positions().abs().amax(1)
    assert moved[0] > 0.05
    assert moved[1] < 1e-5


def test_types_of_degrees_of_freedom(simulate):
    from pxr import Gf, UsdPhysics

    def build(stage):
        arm(stage)
        root = f"{ENV_0}/Arm"
        body(stage, f"{root}/slider", at=(2.0, 0.0, 2.0))
        body(stage, f"{root}/ball", at=(3.0, 0.0, 2.0))
        for kind, name, parent, child in (
            (UsdPhysics.PrismaticJoint, "rail", "lower", "slider"),
            (UsdPhysics.SphericalJoint, "socket", "slider", "ball"),
        ):
            joint = kind.Define(stage, f"{root}/{name}")
            joint.CreateBody0Rel().SetTargets([f"{root}/{parent}"])
            joint.CreateBody1Rel().SetTargets([f"{root}/{child}"])
            joint.CreateLocalPos0Attr(Gf.Vec3f(1.0, 0.0, 0.0))

    view = ArticulationView("/World/envs/.*/Arm", "kinds")
    simulate(build, view, num_envs=1, gravity=0.0)
    assert view.joint_names == ["shoulder", "elbow", "rail", "socket"]
    assert view.dof_names == ["shoulder", "elbow", "rail", "socket:0", "socket:1", "socket:2"]
    turns, slides = DofType.Rotation, DofType.Translation
    assert view.get_dof_types() == [turns, turns, slides, turns, turns, turns]
    assert view.get_dof_types(["rail", "elbow"]) == [slides, turns]
