# SPDX-License-Identifier: Apache-2.0
"""500 steps of a task under given actions, and what is kept of OmniIsaacGymEnvs' own: numbers, and none of its code.

`MYRIAD_OIGE=folder python -m tests.oige.rollout` writes the files again from a checkout.
"""

import os
from pathlib import Path

import numpy as np
import torch

RECORDED = Path(__file__).parent / "recorded"
STEPS, NUM_ENVS = 500, 2
TASKS = ("Cartpole", "Ant", "FrankaCabinet")

# OmniIsaacGymEnvs' tasks stand on Isaac Sim's default ground, whose material is not their YAML's.
GROUND = [
    f"task.sim.default_physics_material.{name}={value}"
    for name, value in (("static_friction", 0.5), ("dynamic_friction", 0.5), ("restitution", 0.8))
]


def settings(task):
    """Return the command line of a task's rollout."""
    more = {
        "Ant": ["task.env.episodeLength=150"],  # or nothing would end
        "FrankaCabinet": ["task.env.episodeLength=150", "task.sim.add_ground_plane=False"],  # which its foot rubs on
    }
    return [f"task={task}", f"num_envs={NUM_ENVS}", "sim_device=cpu", "engine.shards=1", *more.get(task, [])]


def roll(env):
    """Return observations (STEPS + 1, n, size), rewards and dones (STEPS, n): same seed, same starts and actions."""
    torch.manual_seed(1)
    chance = torch.Generator().manual_seed(2)
    observations, rewards, dones = [env.reset()["obs"].clone()], [], []
    for _ in range(STEPS):
        actions = 2.0 * torch.rand(env.num_envs, env.num_actions, generator=chance) - 1.0
        seen, reward, done, _ = env.step(actions)
        observations.append(seen["obs"].clone())
        rewards.append(reward.clone())
        dones.append(done.clone())
    return {
        "observations": torch.stack(observations).numpy(),
        "rewards": torch.stack(rewards).numpy(),
        "dones": torch.stack(dones).numpy().astype(np.int8),
    }


def main():
    """Record the tasks from the checkout that MYRIAD_OIGE names."""
    from omni.myriad.app.config import load_config
    from omni.myriad.app.runs import make_env

    RECORDED.mkdir(exist_ok=True)
    for task in TASKS:
        env = make_env(load_config([*settings(task), f"oige={os.environ['MYRIAD_OIGE']}"]))
        np.savez_compressed(RECORDED / f"{task}.npz", **roll(env))
        env.close()


if __name__ == "__main__":
    main()
