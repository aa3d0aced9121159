# SPDX-License-Identifier: Apache-2.0
"""Measure Isaac Lab: `python -m omni.myriad.benchmark.isaaclab_child JOB.json`, run by `isaaclab` in its environment.

It makes the calls of `isaaclab train --rl_library rsl_rl`, with our clocks between them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from omni.myriad.benchmark.machine import memory
from omni.myriad.benchmark.measurements import stepped, synchronizer
from omni.myriad.benchmark.options import Options
from omni.myriad.benchmark.timing import EpochClock, grouped_rates, summary

MOST_SECONDS = 60.0
"""Training ends after so many, whether it reached the reward or not."""


class _DoneError(Exception):
    """Ends a training that has shown what was wanted."""


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Measure as the job says: start-up, environment steps, training, and seconds to a reward."""
    options = Options(**job["options"])
    # Imported by name, so that no type checker looks for what is not among our requirements.
    import_module("isaaclab_tasks")  # registers the tasks
    rl, entry = "isaaclab_rl.rsl_rl", "isaaclab_rl.entrypoints"
    modules = ("isaaclab.app", "isaaclab_tasks.utils", rl, f"{entry}.backends.cli_args_rsl_rl", f"{entry}.common")
    app, utils, lab, backend, common = map(import_module, modules)
    parser = argparse.ArgumentParser()
    common.add_common_train_args(parser, agent_default="rsl_rl_cfg_entry_point", agent_help="")
    backend.add_rsl_rl_args(parser)
    app.add_launcher_args(parser)
    args, rest = utils.setup_preset_cli(parser, job["arguments"])
    common.set_hydra_args(rest)
    # As `isaaclab train` sets them.
    precision = {"cuda_matmul_allow_tf32": True, "cudnn_allow_tf32": True, "cudnn_benchmark": True}
    with common.scoped_torch_backend_flags(**precision, cudnn_deterministic=False):
        env_cfg, agent_cfg = utils.resolve_task_config(args.task, args.agent)
        with app.launch_simulation(env_cfg, args):
            agent_cfg = backend.update_rsl_rl_cfg(agent_cfg, args)
            agent_cfg = lab.handle_deprecated_rsl_rl_cfg(agent_cfg, lab.check_rsl_rl_version())
            common.apply_env_overrides(args, env_cfg)
            env_cfg.seed = agent_cfg.seed
            env = common.create_isaaclab_env(args.task, env_cfg, args, convert_marl_to_single_agent=False)
            with contextlib.closing(env):
                return _measured(env, agent_cfg, job, options)


def _measured(env: Any, agent_cfg: Any, job: dict[str, Any], options: Options) -> dict[str, Any]:
    inner = env.unwrapped
    num_envs, device = inner.num_envs, torch.device(inner.device)
    actions = torch.empty((num_envs, inner.single_action_space.shape[0]), device=device)

    def step() -> Any:
        return env.step(actions.uniform_(-1.0, 1.0))

    env.reset()
    step()
    synchronizer(device)()
    startup = time.time() - job["started"]
    with torch.no_grad():
        found = stepped(step, num_envs, device, options)
        if not bool(step()[0]["policy"].isfinite().all()):
            found["warning"] = "some observations are not finite"
    scale = 1.0 / float(inner.step_dt)  # its rewards are multiplied by the seconds of a step, and ours are not
    return found | {"startup": startup} | _trained(env, agent_cfg, scale, job, options)


def _trained(env: Any, agent_cfg: Any, scale: float, job: dict[str, Any], options: Options) -> dict[str, Any]:
    lab = import_module("isaaclab_rl.rsl_rl")
    horizon, device = agent_cfg.num_steps_per_env, torch.device(env.unwrapped.device)
    clock, curve = EpochClock(), []
    wanted = job["reward"]

    def mark() -> None:
        synchronizer(device)()
        clock.tick()
        latest = runner.logger.rewbuffer
        if len(latest) == latest.maxlen:  # as many episodes as its own mean is over
            curve.append((clock.marks[-1], scale * statistics.mean(latest)))
        enough = len(clock.marks) > options.epochs
        if enough and (not wanted or (curve and curve[-1][1] > max(wanted)) or clock.marks[-1] > MOST_SECONDS):
            raise _DoneError

    class Watched(lab.RslRlVecEnvWrapper):  # whose iterations begin with a mark
        steps = 0

        def step(self, actions: torch.Tensor) -> Any:
            if self.steps % horizon == 0:
                mark()
            self.steps += 1
            return super().step(actions)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # its logger may still write
        runner = lab.create_rsl_rl_runner(Watched(env, clip_actions=agent_cfg.clip_actions), agent_cfg, log_dir=folder)
        with contextlib.suppress(_DoneError), contextlib.redirect_stdout(sys.stderr):
            runner.learn(10**6, init_at_random_ep_len=agent_cfg.init_at_random_ep_len)
    frames = env.unwrapped.num_envs * horizon
    rates = grouped_rates(clock.marks, options.repeats, options.epochs // 5)
    passed = {f"seconds_to_{goal:g}": next((end for end, mean in curve if mean > goal), None) for goal in wanted}
    return {
        "train": summary([frames * rate for rate in rates]) | {"unit": "frames/s", "memory": memory(device)},
        "seed": agent_cfg.seed,
        "reached": passed,
        "best": max((mean for _, mean in curve), default=None),
        "seconds": clock.marks[-1],
    }


if __name__ == "__main__":
    task = json.loads(Path(sys.argv[1]).read_text())
    Path(task["result"]).write_text(json.dumps(main(task)))
    os._exit(0)  # its simulation may hang or crash as Python ends, when everything is measured
