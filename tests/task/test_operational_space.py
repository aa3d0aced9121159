# SPDX-License-Identifier: Apache-2.0
"""A planar arm by hand: two links of 1 m without weight, with 1 kg at the elbow and 1 kg at the tip. And a Panda."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.engine.mujoco.view import mujoco
from omni.myriad.errors import MyriadError
from omni.myriad.robots import find
from omni.myriad.task.operational_space import OperationalSpace, pose_errors


def arm(shoulder, elbow):
    """Return tip (2,), Jacobian (1, 2, 2) and mass matrix (1, 2, 2) of the arm."""
    angle = shoulder + elbow
    x, y = math.cos(shoulder) + math.cos(angle), math.sin(shoulder) + math.sin(angle)
    jacobian = [[-y, -math.sin(angle)], [x, math.cos(angle)]]
    mass = [[3.0 + 2.0 * math.cos(elbow), 1.0 + math.cos(elbow)], [1.0 + math.cos(elbow), 1.0]]
    return torch.tensor([x, y]), torch.tensor([jacobian]), torch.tensor([mass])


# At a right angle the tip is at (1, 1): along x only its own kilogram moves, along y both do.
_, JACOBIAN, MASS = arm(0.0, math.pi / 2)
STILL = torch.zeros(1, 2)
EXACT: dict[str, Any] = {"mobility": 0.0}


@pytest.mark.parametrize(
    ("kind", "error", "velocity", "force"),
    [
        ("pose", (0.1, 0.0), (0.0, 0.0), (10.0, 0.0)),  # 100 / s^2 * 0.1 m * 1 kg
        ("pose", (0.0, 0.1), (0.0, 0.0), (0.0, 20.0)),  # two kilograms
        ("impedance", (0.0, 0.1), (0.0, 0.0), (0.0, 10.0)),  # 100 N/m * 0.1 m
        ("pose", (0.1, 0.0), (0.0, 1.0), (30.0, 0.0)),  # the tip goes back by 1 m/s: 20 / s * 1 m/s * 1 kg more
        ("impedance", (0.1, 0.0), (0.0, 1.0), (30.0, 0.0)),  # 2 sqrt(100 N/m * 1 kg) = 20 N s/m
        ("impedance", (0.0, 0.0), (1.0, -1.0), (0.0, -20.0 * 2.0**0.5)),  # 2 sqrt(100 N/m * 2 kg), up by 1 m/s
    ],
)
def test_forces_at_the_tip_by_hand(kind, error, velocity, force):
    space = OperationalSpace(100.0, kind, **EXACT)
    torques = space.torques(JACOBIAN, MASS, torch.tensor([velocity]), torch.tensor([error]))
    # A force at (1, 1) turns the shoulder by f_y - f_x; the elbow, below the tip at (1, 0), by -f_x.
    wanted = torch.tensor([[force[1] - force[0], -force[0]]])
    torch.testing.assert_close(torques, wanted, rtol=1e-4, atol=1e-4)


def test_directions_have_stiffness_and_damping_of_their_own():
    space = OperationalSpace((100.0, 50.0), "impedance", damping=(0.0, 3.0))
    torques = space.torques(JACOBIAN, MASS, torch.tensor([[1.0, -1.0]]), torch.tensor([[0.1, 0.2]]))
    # The tip moves along y by 1 m/s and along x not: forces of 10 N and 50 * 0.2 - 3 * 1 = 7 N.
    torch.testing.assert_close(torques, torch.tensor([[7.0 - 10.0, -10.0]]), rtol=1e-5, atol=1e-5)


def test_pose_control_moves_each_direction_like_a_critically_damped_spring():
    space, dt = OperationalSpace(25.0, **EXACT), 1e-4
    joints, velocities = torch.tensor([0.3, 1.2], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    start, before = arm(*joints.tolist())[:2]
    goal = start + torch.tensor([0.2, -0.1])
    for _ in range(4000):
        tip, jacobian, mass = arm(*joints.tolist())
        error, moving = (goal - tip).unsqueeze(0), velocities.float().unsqueeze(0)
        torques = space.torques(jacobian, mass, moving, error)[0].double()
        turn = math.sin(float(joints[1]))
        coriolis = turn * torch.stack((-(2 * velocities[0] + velocities[1]) * velocities[1], velocities[0] ** 2))
        velocities = velocities + dt * torch.linalg.solve(mass[0].double(), torques - coriolis)
        joints = joints + dt * velocities
    # x(t) = x0 (1 + 5 t) exp(-5 t) after 0.4 s; what is left beyond is the velocity's change of the Jacobian
    left = (1.0 + 5.0 * 0.4) * math.exp(-5.0 * 0.4)
    torch.testing.assert_close(goal - arm(*joints.tolist())[0], left * (goal - start), rtol=0.0, atol=0.02)
    assert before.shape == (1, 2, 2)


def test_holding_a_posture_does_not_accelerate_the_frame():
    generator = torch.Generator().manual_seed(5)
    jacobians = torch.randn(4, 6, 9, generator=generator, dtype=torch.float64)
    roots = torch.randn(4, 9, 9, generator=generator, dtype=torch.float64)
    masses = roots @ roots.transpose(1, 2) + torch.eye(9, dtype=torch.float64)
    away = torch.randn(4, 9, generator=generator, dtype=torch.float64)
    still, there = torch.zeros(4, 9, dtype=torch.float64), torch.zeros(4, 6, dtype=torch.float64)
    torques = OperationalSpace(1.0, posture_stiffness=10.0, **EXACT).torques(jacobians, masses, still, there, away)
    accelerations = torch.linalg.solve(masses, torques)
    assert accelerations.norm() > 1.0
    assert (jacobians @ accelerations.unsqueeze(-1)).abs().max() < 1e-9


def test_a_stretched_arm_asks_for_no_endless_torque():
    _, jacobian, mass = arm(0.0, 0.0)  # along x it cannot go on
    torques = OperationalSpace(100.0).torques(jacobian, mass, STILL, torch.tensor([[0.1, 0.0]]))
    assert torques.isfinite().all() and torques.abs().max() < 1.0


def test_errors_are_ways_and_the_shorter_turns():
    half = math.sqrt(0.5)
    still = torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 4)
    about_z, about_x = [half, 0.0, 0.0, half], [-half, half, 0.0, 0.0]
    wanted = torch.tensor([about_z, [-x for x in about_z], about_x, [1.0, 1e-9, 0.0, 0.0]])
    places = torch.zeros(4, 3)
    errors = pose_errors(places, still, places + torch.tensor([1.0, 2.0, 3.0]), wanted)
    quarter = math.pi / 2
    turns = torch.tensor([[0.0, 0.0, quarter], [0.0, 0.0, quarter], [-quarter, 0.0, 0.0], [2e-9, 0.0, 0.0]])
    torch.testing.assert_close(errors, torch.cat((torch.tensor([[1.0, 2.0, 3.0]] * 4), turns), dim=1))


@pytest.mark.parametrize("wrong", [{"kind": "force"}, {"stiffness": -1.0}, {"stiffness": 1.0, "damping": (1.0, -1.0)}])
def test_what_makes_no_sense_is_said(wrong):
    with pytest.raises(MyriadError, match="invalid"):
        OperationalSpace(**{"stiffness": 1.0, **wrong})


@pytest.fixture(scope="module")
def panda():
    """Return two Pandas without weight whose arms are driven by torques; their rotors have armatures."""
    config = load_config(["task=FrankaReach", "num_envs=2", "sim_device=cpu", "engine=physx", "engine.shards=1"])
    config["task"]["sim"]["gravity"] = [0.0, 0.0, 0.0]
    config["task"]["sim"]["Robot"]["actuators"] = {
        "panda_joint?": {"kind": "effort", "armature": 0.1},
        "panda_finger_joint?": {"kind": "position", "stiffness": 400.0, "damping": 40.0, "armature": 0.05},
    }
    env = runs.make_env(config)
    yield env
    env.close()


def test_jacobians_and_inertias_of_the_panda_are_mujocos(panda):
    robot, hand = panda.task.robot, "panda_hand_tcp"
    model = mujoco.MjModel.from_xml_path(str(find("panda").folder / "robot.xml"))
    data = mujoco.MjData(model)
    joints = [robot.get_dof_index(model.joint(i).name) for i in range(model.njnt)]
    model.dof_armature[:] = torch.tensor([0.1] * 7 + [0.05] * 2)[joints].numpy()
    postures = torch.tensor(
        [[0.3, -0.5, 0.2, -2.0, 0.4, 1.9, 0.6, 0.03, 0.03], [0.0, 0.15, 0.0, -2.2, 0.0, 2.35, 0.785, 0.04, 0.04]]
    )
    robot.set_joint_positions(postures)
    panda.engine.update_kinematics()
    places, jacobians, inertias = robot.frame_poses(hand)[0], robot.frame_jacobians(hand), robot.inertias()
    for env in range(2):
        data.qpos[:] = postures[env, joints].numpy()
        mujoco.mj_forward(model, data)
        masses, linear, angular = np.zeros((9, 9)), np.zeros((3, 9)), np.zeros((3, 9))
        mujoco.mj_fullM(model, data, masses)
        mujoco.mj_jac(model, data, linear, angular, places[env].double().numpy(), model.body("panda_link7").id)
        assert np.abs(inertias[env][joints][:, joints].numpy() - masses).max() < 1e-5
        assert np.abs(jacobians[env][:, joints].numpy() - np.vstack((linear, angular))).max() < 1e-5


@pytest.mark.parametrize(("kind", "seconds", "aside"), [("pose", 1.0, 0.002), ("impedance", 4.0, 0.1)])
def test_the_pandas_hand_goes_where_it_is_wanted(panda, kind, seconds, aside):
    """Impedance lets directions disturb each other; both end where the hand is wanted."""
    robot, hand = panda.task.robot, "panda_hand_tcp"
    robot.set_joint_positions(panda.task.home)
    robot.set_joint_velocities(torch.zeros(2, 9))
    panda.engine.update_kinematics()
    space = OperationalSpace(100.0, kind, posture_stiffness=20.0)
    home, (positions, orientations) = robot.get_joint_positions(), robot.frame_poses(hand)
    wanted = positions + torch.tensor([[0.1, 0.0, 0.0], [0.0, 0.1, -0.1]])
    moved = []
    for _ in range(round(60 * seconds)):
        place, turn = robot.frame_poses(hand)
        errors = pose_errors(place, turn, wanted, orientations)
        moved.append((place - positions)[0, 1:].abs().max())
        torques = space.torques(
            robot.frame_jacobians(hand)[..., :7],
            robot.inertias()[:, :7, :7],
            robot.get_joint_velocities()[:, :7],
            errors,
            (home - robot.get_joint_positions())[:, :7],
        )
        robot.set_joint_efforts(torch.cat((torques, torch.zeros(2, 2)), dim=1))
        panda.engine.step()
    # (1 + 10) exp(-10) of 0.1 m is left of a critically damped spring after a second: 0.05 mm.
    assert errors[:, :3].abs().max() < 1e-3 and errors[:, 3:].abs().max() < 1e-3, errors
    assert max(moved) < aside
