#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prove that physics admits a lifting task, before a policy is trained on it: a scripted hand does it by the actions.

    ./myriad python docs/manipulation/scripted.py FrankaLift
    ./myriad python docs/manipulation/scripted.py YamLift my_tasks      # a task of yours, and the folder it is in
    ./myriad python docs/manipulation/scripted.py FrankaLift engine=newton task.env.cubeTurn=0.2

It prints postures in which the hand looks down onto the middle of where cubes lie, one of which may be `jointPositions`
in the task's YAML, and how far from their targets it holds cubes that it took.
"""

import sys
from typing import Any

import torch

from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
from omni.myriad.maths import tensor_clamp
from omni.myriad.task.operational_space import pose_errors

DOWN = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
"""Hands that look down, as wxyz, with their x axis along the world's and against it: the same to what they hold."""


def ways(task: Any, goal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far joints are to move so that hands come to a goal (N, 3) and look down, and hands' errors (N, 6)."""
    hands, turns = task.robot.frame_poses(task.hand)
    errors = pose_errors(hands, turns, goal, DOWN[(turns @ DOWN.T).abs().argmax(dim=1)])
    jacobians = task.robot.frame_jacobians(task.hand)[..., task.arm]
    damped = jacobians @ jacobians.transpose(1, 2) + 1e-3 * torch.eye(6)
    step = torch.linalg.solve(damped, errors.clamp(-0.05, 0.05).unsqueeze(-1))
    return (jacobians.transpose(1, 2) @ step).squeeze(-1), errors


def drive(env: Any, goal: torch.Tensor, wide: bool, steps: int) -> None:
    """Move hands straight to a goal, looking down, by the task's own actions."""
    task = env.task
    hand = torch.full((len(goal), 1), 1.0 if wide else -1.0)
    for _ in range(steps):
        joints, errors = ways(task, goal)
        if hasattr(task, "reaches"):  # actions pull the hand
            arm = errors / task.reaches
        else:
            arm = (joints - (task.joint_targets - task.robot.get_joint_positions())[:, task.arm]) / task.step_size
        env.step(torch.cat((arm.clamp(-1.0, 1.0), hand), dim=1))


def grasp(env: Any) -> torch.Tensor:
    """Take the cubes, and return where they lay, (num_envs, 3)."""
    cubes = env.task.cube.clone()
    drive(env, cubes + torch.tensor([0.0, 0.0, 0.1]), True, 40)
    drive(env, cubes, True, 30)
    drive(env, cubes, False, 15)
    return cubes


def posture(env: Any, height: float) -> torch.Tensor | None:
    """Return joints, the nearest to `jointPositions`, whose hand looks down so high above the table; None for none."""
    task = env.task
    goal = torch.cat((task.places.mean(dim=0), torch.tensor([height]))).repeat(env.num_envs, 1)
    lower, upper = task.lower.clamp(min=-3.0), task.upper.clamp(max=3.0)
    joints = task.home.clone()
    joints[1:, task.arm] += torch.randn_like(joints[1:, task.arm])
    joints = tensor_clamp(joints, lower, upper)
    errors = torch.full((env.num_envs, 6), torch.inf)
    for _ in range(300):
        task.robot.set_joint_positions(joints)
        env.engine.update_kinematics()
        steps, errors = ways(task, goal)
        joints[:, task.arm] += steps
        joints = tensor_clamp(joints, lower, upper)
    away = (joints - task.home).norm(dim=-1)
    away[errors.norm(dim=-1) > 0.01] = torch.inf
    best = int(away.argmin())
    return joints[best] if away[best] < torch.inf else None


def main() -> None:
    """Look for a posture, then lift."""
    name, *others = sys.argv[1:]
    folders = [argument for argument in others if "=" not in argument]
    settings = [argument for argument in others if "=" in argument]
    env: Any = make_env(
        load_config([f"task={name}", f"task.task_path={folders}", "num_envs=16", "sim_device=cpu", *settings])
    )
    task = env.task
    env.reset()
    for height in (0.2, 0.15, 0.1):
        found = posture(env, height)
        joints = "none" if found is None else [round(position, 2) for position in found.tolist()]
        print(f"{height} m above the table the hand looks down with joints at: {joints}")
    env.reset()
    targets = task.targets.clone()
    grasp(env)
    drive(env, targets, False, 160)
    print("openings of the fingers in m:", [round(opening, 4) for opening in task.openings[0].tolist()])
    print("cubes from their targets in mm:", [round(1e3 * way) for way in task.to_target.norm(dim=-1).tolist()])
    env.close()


if __name__ == "__main__":
    main()
