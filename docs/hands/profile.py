# SPDX-License-Identifier: Apache-2.0
"""What a hand's physics step costs with other settings, as shares of what it costs as it is, taken in turns.

./myriad python docs/hands/profile.py AllegroHand 128
"""

import statistics
import sys
import time
from typing import Any

import torch

from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
from omni.myriad.env.vec_env import VecEnv

ALONE = "task.sim.Robot.enable_self_collisions=False"
SETTINGS = {
    "as it is": (),
    "fingers pass through each other": (ALONE,),
    "the cube is away": (),
    "both": (ALONE,),
    "4 iterations": tuple(f"task.sim.{name}.solver_position_iteration_count=4" for name in ("Robot", "Object")),
    "16 iterations": tuple(f"task.sim.{name}.solver_position_iteration_count=16" for name in ("Robot", "Object")),
    "a ground": ("task.sim.add_ground_plane=True",),
    "no contact processing": ("task.sim.disable_contact_processing=True",),
}
AWAY = ("the cube is away", "both")
ROUNDS, STEPS = 10, 12


def seconds(env: VecEnv, away: bool) -> float:
    """Take control steps with random actions, and return the seconds that physics took."""
    task: Any = env.task
    spent = 0.0
    if away:
        task.objects.set_world_poses(task.object_start + task._env_pos + torch.tensor([0.0, 0.0, 50.0]))
        task.objects.set_velocities(torch.zeros(task.num_envs, 6))
    for _ in range(STEPS):
        actions = 2.0 * torch.rand(task.num_envs, task.num_actions) - 1.0
        if away:  # without the resets that a cube which is away would ask for
            task.apply_actions(actions)
            start = time.perf_counter()
            env.engine.step(task.control_frequency_inv)
            spent += time.perf_counter() - start
        else:
            before = env.phase_seconds["physics"]
            env.step(actions)
            spent += env.phase_seconds["physics"] - before
    return spent


def main() -> None:
    """Print the median over rounds of each setting's share."""
    task, num_envs = sys.argv[1], sys.argv[2]
    envs = {}
    for name, overrides in SETTINGS.items():
        command = [f"task={task}", f"num_envs={num_envs}", "sim_device=cpu", "engine.shards=2", *overrides]
        envs[name] = make_env(load_config(command))
        envs[name].reset()
        seconds(envs[name], name in AWAY)
    rounds = [{name: seconds(env, name in AWAY) for name, env in envs.items()} for _ in range(ROUNDS)]
    steps = STEPS * envs["as it is"].task.control_frequency_inv
    print(f"{task}: {1e3 * min(spent['as it is'] for spent in rounds) / steps:.1f} ms a physics step at best")
    for name in SETTINGS:
        print(f"{name}: {statistics.median(spent[name] / spent['as it is'] for spent in rounds):.2f}")


if __name__ == "__main__":
    main()
