# SPDX-License-Identifier: Apache-2.0
"""Some steps of a task under given actions, and what is kept of OmniIsaacGymEnvs' own: numbers, and none of its code.

`MYRIAD_OIGE=folder python -m tests.oige.rollout` writes the files again from a checkout.
"""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

RECORDED = Path(__file__).parent / "recorded"
HANDS = ("AllegroHand", "ShadowHand", "ShadowHandOpenAI_FF")
TASKS = ("Cartpole", "Ant", "FrankaCabinet", *HANDS)

# OmniIsaacGymEnvs' tasks stand on Isaac Sim's default ground, whose material is not their YAML's.
GROUND = [
    f"task.sim.default_physics_material.{name}={value}"
    for name, value in (("static_friction", 0.5), ("dynamic_friction", 0.5), ("restitution", 0.8))
]


# Contacts make much of the last bit: the palm stands where theirs stands, a bit from where it is said to.
PALM = [
    "task.env.handPosition=[2.9802322e-8, -0.169245523, 0.484001468]",
    "task.env.handOrientation=[-0.475891226, -0.522998038, 0.522998622, -0.475891858]",
]
ALIKE = {"Ant": GROUND, "AllegroHand": PALM}
"""What ours needs to be in their world."""


def settings(task):
    """Return the command line of a task's rollout."""
    determined = ["task.sim.physx.enable_enhanced_determinism=True"]
    exactly = [*determined, "task.env.episodeLength=60"]
    # Goals that random fingers reach. One hand alone: PhysX turns the root of a second one by a bit as it starts.
    alone = ["task.env.successTolerance=1.6", "num_envs=1"]
    more = {
        "Ant": ["task.env.episodeLength=150"],  # or nothing would end
        "FrankaCabinet": ["task.env.episodeLength=150", "task.sim.add_ground_plane=False"],  # which its foot rubs on
        "AllegroHand": exactly,
        "ShadowHand": [*exactly, *alone],
        "ShadowHandOpenAI_FF": [*determined, *alone, "task.domain_randomization.randomize=False"],
    }
    return [f"task={task}", "num_envs=2", "sim_device=cpu", "engine.shards=1", *more.get(task, [])]


def roll(env, task):
    """Return observations (steps + 1, n, size), rewards and dones (steps, n): same seed, same starts and actions.

    Of a task whose critic sees more also "states".

    Hands draw goals in each step of ours, and in theirs where one is reached: there each step has a seed of its own.
    """
    steps = 200 if task in HANDS else 500
    torch.manual_seed(1)
    chance = torch.Generator().manual_seed(2)
    first = env.reset()
    observations, states = [first["obs"].clone()], [first["states"].clone()] if "states" in first else []
    rewards, dones = [], []
    for step in range(steps):
        actions = 2.0 * torch.rand(env.num_envs, env.num_actions, generator=chance) - 1.0
        if task in HANDS:
            torch.manual_seed(step)
        seen, reward, done, _ = env.step(actions)
        observations.append(seen["obs"].clone())
        states += [seen["states"].clone()] if states else []
        rewards.append(reward.clone())
        dones.append(done.clone())
    critic = {"states": torch.stack(states).numpy()} if states else {}
    return critic | {
        "observations": torch.stack(observations).numpy(),
        "rewards": torch.stack(rewards).numpy(),
        "dones": torch.stack(dones).numpy().astype(np.int8),
    }


def main():
    """Record all tasks, or those that are named, from the checkout that MYRIAD_OIGE names."""
    from omni.myriad.app.config import load_config
    from omni.myriad.app.runs import make_env

    RECORDED.mkdir(exist_ok=True)
    for task in sys.argv[1:] or TASKS:
        env = make_env(load_config([*settings(task), f"oige={os.environ['MYRIAD_OIGE']}"]))
        rolled: dict[str, Any] = roll(env, task)
        np.savez_compressed(RECORDED / f"{task}.npz", **rolled)
        env.close()


if __name__ == "__main__":
    main()
