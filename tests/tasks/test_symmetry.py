# SPDX-License-Identifier: Apache-2.0
"""What tasks say of left and right holds in physics: robots that mirror each other go on to do so."""

import pytest
import torch

from omni.myriad import ObservationTerm
from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_from_euler_xyz

STEPS = 3


BROUGHT = [pytest.param(task, marks=pytest.mark.nightly) for task in ("Anymal", "Go1Velocity", "G1Velocity")]
"""Whose robots pip has to bring."""

BUILT_ALIKE = {"Ant": (4, 2e-3), "Humanoid": (32, 1e-2)}
"""Robots of our own: with so many iterations they part by so little. A solver that takes one joint after another does
not treat both sides alike: with the task's 4, Humanoids part by 0.04 in a step, with 32 by 0.006, with 128 by 0.003."""


@pytest.mark.parametrize("task", ["Ant", "Humanoid", *BROUGHT])
def test_robots_that_mirror_each_other_go_on_to_do_so(task):
    settings = [f"task={task}", "num_envs=2", "sim_device=cpu", "task.sim.add_ground_plane=False"]
    if task in BUILT_ALIKE:
        settings += [f"task.sim.{task}.solver_position_iteration_count={BUILT_ALIKE[task][0]}"]
    env = make_env(load_config(settings) | {"test": True})  # without noise
    try:
        env.reset()
        observed, acted = env.mirrors()
        terms = [term for term in env.task.observation_terms() if isinstance(term, ObservationTerm)]
        seen, action = push_alike(env, acted), torch.randn(env.num_actions)
    finally:
        env.close()
    assert seen[0].abs().max() > 0.1
    mirrored = observed(seen[0])
    assert torch.equal(observed(mirrored), seen[0]) and torch.equal(acted(acted(action)), action), "twice is not at all"
    if task in BUILT_ALIKE:
        torch.testing.assert_close(mirrored, seen[1], atol=BUILT_ALIKE[task][1], rtol=0.0)
    start = 0
    for term in terms:
        one, other = (vector[start : start + term.size] for vector in (mirrored, seen[1]))
        # Real robots are not built quite alike on both sides. A wrong sign would be off by twice a number.
        assert (one - other).norm() < 0.02 + 0.1 * one.norm(), f"{term.name}: {one}, {other}"
        start += term.size
    assert (mirrored - seen[0]).abs().max() > 0.3, "it does something"


def push_alike(env, acted):
    """Put the second robot as the mirror image of the first, act on both alike for some steps; return what they see."""
    task, robot = env.task, next(iter(env.engine.robots().values()))
    torch.manual_seed(7)
    of_joints = task.symmetry.of_joints(robot.dof_names)
    start, swing = 0.1 * torch.randn(robot.num_dof), torch.randn(robot.num_dof)
    home = robot.get_joint_positions()[0]
    home = 0.5 * (home + of_joints(home))
    robot.set_joint_positions(home + torch.stack((start, of_joints(start))))
    robot.set_joint_velocities(torch.stack((swing, of_joints(swing))))
    roll, pitch, yaw = torch.tensor([[0.3, -0.3], [0.2, 0.2], [0.4, -0.4]])
    robot.set_world_poses(robot.get_world_poses()[0], quat_from_euler_xyz(roll, pitch, yaw))
    velocity = torch.tensor([0.5, 0.3, 0.2, 0.4, 0.6, -0.5])
    robot.set_velocities(torch.stack((velocity, velocity * torch.tensor([1, -1, 1, -1, 1, -1]))))
    if hasattr(task, "command"):
        task.command.values[:] = torch.tensor([[0.5, 0.2, 0.3], [0.5, -0.2, -0.3]])
        task.command.lasting.fill_(10**6)
        task.command.headings.fill_(float("nan"))
    task.reset_buf.zero_()
    for _ in range(STEPS):
        action = 0.3 * torch.randn(env.num_actions)
        seen = env.step(torch.stack((action, acted(action))))[0]["obs"]
        task.reset_buf.zero_()
    return seen


def test_a_task_that_says_nothing_is_named():
    env = make_env(load_config(["task=Cartpole", "num_envs=2", "sim_device=cpu"]))
    try:
        with pytest.raises(MyriadError, match="Task Cartpole has no symmetry that is known"):
            env.mirrors()
    finally:
        env.close()
