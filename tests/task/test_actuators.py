# SPDX-License-Identifier: Apache-2.0
"""Motors are in PhysX what the task's YAML says, and those of kind pd do what is worked out by hand."""

import math

import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.task.randomization import Randomizer

MOTORS = """
import torch
from omni.myriad import RLTask


class Motors(RLTask):
    robot = "cartpole/cartpole.usda"

    def get_observations(self):
        self.obs_buf[:] = self.robot.get_joint_positions()

    def calculate_metrics(self):
        self.rew_buf.zero_()

    def pre_physics_step(self, actions):
        self.robot.set_joint_position_targets(actions)
"""
YAML = """
defaults: [Default]
name: Motors
env: {{numEnvs: 3, controlFrequencyInv: 2, episodeLength: 1000}}
sim:
  gravity: [0.0, 0.0, 0.0]
  Robot:
    actuators: {actuators}
"""


@pytest.fixture
def motors(task_of, tmp_path):
    def build(actuators):
        (tmp_path / "cfg" / "task").mkdir(parents=True, exist_ok=True)
        (tmp_path / "cfg" / "task" / "Motors.yaml").write_text(YAML.format(actuators=actuators))
        return task_of(MOTORS)

    return build


def test_motors_are_what_the_yaml_says(motors):
    env = motors(
        "{cart*: {kind: position, stiffness: 30, damping: 2, effort_limit: 5, velocity_limit: 3, armature: 0.2},"
        " 'poleJoin[t]': {kind: velocity, damping: 7, friction: 0.5, velocity_limit: 4, armature: 0.1}}"
    )
    robot = env.task.robot
    stiffness, damping = robot.get_gains()
    for values, expected in (
        (stiffness, [30.0, 0.0]),
        (damping, [2.0, 7.0]),
        (robot.get_max_efforts(), [5.0, 1000.0]),
        (robot.get_joint_max_velocities(), [3.0, 4.0]),
        (robot.get_armatures(), [0.2, 0.1]),
        (robot.get_friction_coefficients(), [0.0, 0.5]),
    ):
        torch.testing.assert_close(values, torch.tensor([expected] * 3), rtol=1e-5, atol=1e-6)


def test_efforts_of_tasks_are_cut_to_their_limit(motors):
    robot = motors("{cartJoint: {kind: effort, effort_limit: 5}}").task.robot
    robot.set_joint_efforts(torch.tensor([[9.0, 9.0], [-9.0, -9.0], [1.0, 1.0]]))
    assert robot.get_applied_actions().joint_efforts.tolist() == [[5.0, 9.0], [-5.0, -9.0], [1.0, 1.0]]
    with pytest.raises(MyriadError, match="takes all joints in order"):
        robot.set_joint_efforts(torch.ones(3, 1), joint_indices=[0])


def test_pd_motors_follow_their_law_in_every_physics_step(motors, monkeypatch):
    kp, kd = 40.0, 6.0
    env = motors(f"{{cartJoint: {{kind: pd, stiffness: {kp}, damping: {kd}, effort_limit: 20}}}}")
    robot, seen = env.task.robot, []
    assert robot.get_gains()[0].tolist() == [[0.0, 0.0]] * 3, "PhysX's own drive is off"
    env.reset()
    step = env.engine.step

    def watched(num_steps=1):
        seen.append([robot.get_joint_positions(), robot.get_joint_velocities(), robot.get_applied_actions()])
        step(num_steps)

    monkeypatch.setattr(env.engine, "step", watched)
    targets = torch.tensor([0.1, -0.3, 1.0])
    for _ in range(15):
        env.step(torch.stack((targets, torch.zeros(3)), dim=-1))
    assert len(seen) == 30
    for positions, velocities, applied in seen:
        wanted = (kp * (targets - positions[:, 0]) - kd * velocities[:, 0]).clamp(-20.0, 20.0)
        torch.testing.assert_close(applied.joint_efforts[:, 0], wanted, rtol=1e-5, atol=1e-5)
    assert seen[0][2].joint_efforts[2, 0] == 20.0 and (seen[-1][0][:, 0] * targets > 0.0).all()


def test_gains_of_pd_motors_are_drawn_by_chance(motors):
    env = motors("{cartJoint: {kind: pd, stiffness: 40, damping: 6}, poleJoint: {stiffness: 30, damping: 2}}")
    robot, (name,) = env.task.robot, env.engine.robots()
    doubled = {"operation": "scaling", "distribution": "uniform", "distribution_parameters": [2.0, 2.0]}
    env.task.randomizer = Randomizer(env.task, {"articulation_views": {name: {"stiffness": {"on_reset": doubled}}}})
    env.task.reset_buf[:] = torch.tensor([0, 1, 0])
    env.step(torch.zeros(3, 2))
    assert robot.motors.gains["stiffness"].flatten().tolist() == [40.0, 80.0, 40.0]
    torch.testing.assert_close(robot.get_gains()[0], torch.tensor([[0.0, 30.0], [0.0, 60.0], [0.0, 30.0]]))
    limits = {"articulation_views": {name: {"motor_strength": {"on_reset": doubled}}}}
    with pytest.raises(MyriadError, match="limits of motors of kind pd are not drawn: draw stiffness and damping"):
        Randomizer(env.task, limits)


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_delayed_targets_arrive_so_many_physics_steps_later(motors, delay):
    env = motors(f"{{cartJoint: {{kind: pd, stiffness: 40, damping: 0, delay: {delay}}}}}")
    task, robot, driven = env.task, env.task.robot, []
    env.reset()
    task.reset()
    original = robot.motors.drive

    def drive(began=None):
        original(began)
        driven.append(robot.get_applied_actions().joint_efforts[:, 0].clone())

    robot.motors.drive = drive
    env.step(torch.tensor([[0.0, 0.0]] * 3))  # the reset: held where it is
    assert all(effort.abs().max() == 0.0 for effort in driven)
    driven.clear()
    for _ in range(2):
        env.step(torch.tensor([[0.5, 0.0]] * 3))
    pulled = [bool(effort.abs().min() > 1.0) for effort in driven]
    assert pulled == [False] * delay + [True] * (4 - delay)
    assert torch.equal(env.get_env_state()["task"]["motor_targets_0"], robot.motors.history)


@pytest.mark.parametrize(
    ("actuators", "message"),
    [
        ("{wheel*: {kind: effort}}", r"sim.Robot.actuators.wheel\* matches no joint.*: cartJoint, poleJoint"),
        ("{'*': {damping: 1}, pole*: {damping: 2}}", r"pole\* matches joint poleJoint, as \* does"),
        ("{'*': {kind: servo}}", r"actuators.\*.kind=servo is invalid: choose one of effort, position, velocity, pd"),
        ("{'*': {stiffness: -1}}", "stiffness=-1 is invalid: it must be a number, at least 0"),
        ("{'*': {delay: 2}}", "delay=2 is invalid: a motor of kind position has none"),
        ("{'*': {kind: effort, stiffness: 2}}", "stiffness=2 is invalid: a motor of kind effort has none"),
        ("{'*': {stifness: 2}}", "stifness is no setting of a motor; they are: kind, stiffness"),
        ("{'*': 5}", r"actuators.\*=5 is invalid: it must be a section"),
    ],
)
def test_mistakes_are_named(motors, actuators, message):
    with pytest.raises(MyriadError, match=message):
        motors(actuators)


def test_angles_are_radians(motors):
    env = motors("{poleJoint: {kind: position, stiffness: 50, damping: 10}}")
    for _ in range(200):
        env.step(torch.tensor([[0.0, 1.0]] * 3))
    angles = env.task.robot.get_joint_positions()[:, 1]
    torch.testing.assert_close(angles, torch.full((3,), 1.0), rtol=0.0, atol=1e-2)
    assert not math.isclose(angles[0], math.radians(1.0), abs_tol=0.1)
