# SPDX-License-Identifier: Apache-2.0
"""NaN in the physics of one environment, through its robot's view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def spoil_root(env: Any) -> None:
    """Write NaN into the root of robot 3."""
    nan = float("nan")
    the_robots(env).set_world_poses(torch.full((1, 3), nan), torch.full((1, 4), nan), indices=torch.tensor([3]))


def spoil_joints(env: Any) -> None:
    """Write NaN into the joints of robot 3."""
    robots = the_robots(env)
    values = torch.full((1, robots.num_dof), float("nan"))
    robots.set_joint_positions(values, indices=torch.tensor([3]))
    robots.set_joint_velocities(values, indices=torch.tensor([3]))


def the_robots(env: Any) -> Any:
    """Return the first view of robots."""
    return next(iter(env.engine.robots().values()))


def spoil_before(env: Any, when: set[int], spoil: Callable[[Any], None]) -> list[list[int]]:
    """Spoil physics before the steps `when`, and note the ids of the faulty environments of each step."""
    step, noted = env.step, []

    def spoiled(actions: torch.Tensor) -> Any:
        if len(noted) in when:
            spoil(env)
        result = step(actions)
        noted.append(result[3]["faulty"].nonzero().flatten().tolist())
        return result

    env.step = spoiled
    return noted
