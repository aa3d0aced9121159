# SPDX-License-Identifier: Apache-2.0
"""Measure Myriad itself; each function runs in a process of its own, because PhysX's device lasts as long as one.

Every one takes the resolved configuration and the benchmark's options, and returns a plain dictionary whose `median`,
`min`, `max`, `spread` and `values` are the measurement.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from omni.myriad.benchmark import machine, timing
from omni.myriad.benchmark.options import Options
from omni.myriad.engine import Engine
from omni.myriad.errors import MyriadError

Config = dict[str, Any]
Result = dict[str, Any]
CURVE_POINTS = 200


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Return a function that waits until the device is done."""
    return (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)


def floor(config: Config, options: Options) -> Result:
    """Measure a bare PhysX loop on the task's scene: random torques in, root, joints and joint forces out."""
    from omni.myriad.app.runs import make_env

    env = make_env(config)
    engine = env.engine
    if engine.name != "physx":
        raise MyriadError(f"The bare loop is standalone PhysX's, and engine={engine.name} runs.")
    from omni.myriad.engine.physx.bare_loop import READS, BareLoop
    from omni.myriad.engine.physx.engine import PhysXEngine

    assert isinstance(engine, PhysXEngine)
    efforts = [term.scale for term in env.task.action_terms() if term.kind == "effort"]
    max_effort = max((max(scale) if isinstance(scale, tuple) else scale for scale in efforts), default=1.0)
    loop = BareLoop(engine, max_effort, env.task.control_frequency_inv)
    synchronize = synchronizer(env.device)
    warm_up = timing.warm_up_steps(options.seconds)
    found = timing.rates(loop.advance, synchronize, options.repeats, options.seconds, warm_up)
    phases = _shares(loop.seconds)
    free = timing.rates(
        lambda steps: loop.advance(steps, in_step=False), synchronize, options.repeats, options.seconds, 1
    )
    result = {
        **timing.summary([env.num_envs * rate for rate in found]),
        "unit": "environment steps/s",
        "phases": phases,
        "free_running": timing.summary([env.num_envs * rate for rate in free]),
        "shards": len(engine.shards),
        "max_effort": max_effort,
        "reads": list(READS),
        "memory": machine.memory(env.device),
    }
    if not all(bool(tensor.isfinite().all()) for tensor in loop.state.values()):
        result["warning"] = "the state that was read is not finite"
    env.close()
    return result


def env(config: Config, options: Options) -> Result:
    """Measure the environment alone, stepped with random actions that are drawn on the device."""
    from omni.myriad.app.runs import make_env

    env = make_env(config)
    env.reset()
    actions = torch.empty((env.num_envs, env.num_actions), device=env.device)

    def advance(steps: int) -> None:
        for _ in range(steps):
            env.step(actions.uniform_(-1.0, 1.0))

    synchronize = synchronizer(env.device)
    advance(timing.warm_up_steps(options.seconds))
    synchronize()
    found = timing.rates(advance, synchronize, options.repeats, options.seconds, 1)
    steps = max(1, round(options.seconds * statistics.median(found)))
    result = {
        **timing.summary([env.num_envs * rate for rate in found]),
        "unit": "environment steps/s",
        "phases": _env_phases(env, lambda: advance(steps)),
        "shards": _shards(env.engine),
        "engine": env.engine.version,
        "memory": machine.memory(env.device),
    }
    env.close()
    return result


def _shards(engine: Engine) -> int | None:
    from omni.myriad.engine.physx.engine import PhysXEngine

    return len(engine.shards) if isinstance(engine, PhysXEngine) else None


def _env_phases(env: Any, run: Callable[[], None]) -> dict[str, float]:
    """Run once more, and return what part of the time goes into physics, reading, the task and the rest."""
    before, read_before = dict(env.phase_seconds), env.engine.phase_seconds["read"]
    start = time.perf_counter()
    run()
    synchronizer(env.device)()
    elapsed = time.perf_counter() - start
    spent = {name: seconds - before.get(name, 0.0) for name, seconds in env.phase_seconds.items()}
    read = env.engine.phase_seconds["read"] - read_before
    spent |= {"read": read, "physics": spent["physics"] - read}  # PhysX's threads read as they end
    return _shares({**spent, "other": elapsed - sum(spent.values())})


def train(config: Config, options: Options) -> Result:
    """Measure training by the wall clock between epochs: logging, statistics and checkpoints included."""
    # One more, because an epoch ends where the next begins, and the last is followed by the end of the run.
    rows, marks, memory = _train(config, options.epochs + 1)
    warm_up = options.epochs // 5
    kept = rows[warm_up:-1]
    frames_per_epoch = int(rows[0]["frames"])
    elapsed = marks[-1][0] - marks[warm_up][0]
    spent = {
        name: sum(float(row[f"{name}_seconds"]) for row in kept) for name in ("physics", "task", "policy", "update")
    }
    return {
        **timing.summary([frames_per_epoch * rate for rate in timing.grouped_rates(marks, options.repeats, warm_up)]),
        "unit": "frames/s",
        "phases": _shares({**spent, "other": elapsed - sum(spent.values())}),
        "epochs": len(kept),
        "warm_up_epochs": warm_up,
        "frames_per_epoch": frames_per_epoch,
        "memory": memory,
    }


def reward(config: Config, options: Options) -> Result:
    """Train one seed until the highest of the wanted rewards, and note when each was reached.

    Seconds are the wall clock's, from the start of the first epoch to the end of the one in which the mean reward of
    the episodes that ended lately is known to have passed; start-up is not in them.
    """
    # Otherwise it trains on to the end of max_iterations.
    config["train"]["params"]["config"]["score_to_win"] = max(options.reward)
    rows, marks, memory = _train(config, None)
    last_epoch = float(rows[-1]["seconds"]) - (float(rows[-2]["seconds"]) if len(rows) > 1 else 0.0)
    ends = [*(seconds for seconds, _ in marks[1:]), marks[-1][0] + last_epoch]
    curve = [
        (int(row["frames"]), round(end, 3), float(row["reward_mean"]))
        for row, end in zip(rows, ends, strict=True)
        if row["reward_mean"]
    ]
    reached = {}
    for threshold in options.reward:
        when = next((end for _, end, mean in curve if mean > threshold), None)
        reached[f"seconds_to_{threshold:g}"] = when
    return {
        "seed": config["seed"],
        "reached": reached,
        "best": max((mean for *_, mean in curve), default=None),
        "frames": int(rows[-1]["frames"]),
        "seconds": round(ends[-1], 3),
        "curve": _thinned(curve),
        "memory": memory,
    }


def _thinned(curve: list[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    step = -(-len(curve) // CURVE_POINTS) or 1
    return [point for index, point in enumerate(curve) if index % step == 0 or index == len(curve) - 1]


def _train(
    config: Config, epochs: int | None
) -> tuple[list[dict[str, str]], list[tuple[float, int]], dict[str, float]]:
    """Train in a folder of its own; return the rows of progress.csv, the clock's marks and memory."""
    from omni.myriad.app.runs import make_env
    from omni.myriad.learn import run

    if epochs is not None:
        config["max_iterations"] = epochs
    env = make_env(config)
    clock = timing.EpochClock(env)
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder) / "run"
        run.train(config, env, run_dir)
        with open(run_dir / "progress.csv", newline="") as file:
            rows = list(csv.DictReader(file))
    memory = machine.memory(env.device)
    env.close()
    return rows, clock.marks, memory


def startup(config: Config, options: Options, started: float, result_file: Path) -> None:
    """Run the command `train` up to the end of its first environment step, write the result, and end the process.

    Args:
        config: Resolved configuration.
        options: The benchmark's options.
        started: When the command was started, `time.time()`.
        result_file: Where to write; the process ends before it could return anything.
    """
    import omni.myriad.engine as engine_package
    from omni.myriad.app import runs
    from omni.myriad.env.vec_env import VecEnv

    marks = [("imports and configuration", time.time())]

    def noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            returned = function(*args, **kwargs)
            marks.append((name, time.time()))
            return returned

        return noted

    step = VecEnv.step

    def first_step(env: VecEnv, actions: torch.Tensor) -> None:
        marks.append(("learner", time.time()))
        step(env, actions)
        synchronizer(env.device)()
        marks.append(("first step", time.time()))
        times = [started, *(at for _, at in marks)]
        phases = {name: round(end - begin, 4) for (name, end), begin in zip(marks, times[:-1], strict=True)}
        result = {
            "seconds": round(times[-1] - started, 4),
            "phases": phases,
            "memory": machine.memory(env.device),
            "machine": machine.describe(env.device),
            "num_envs": env.num_envs,
        }
        result_file.write_text(json.dumps(result))
        os._exit(0)  # what follows is not start-up

    engine_package.make_engine = noting("engine", engine_package.make_engine)
    VecEnv.set_task = noting("scene and clones", VecEnv.set_task)
    VecEnv.step = first_step  # type: ignore[method-assign,assignment]
    runs.train(config | {"train_dir": str(result_file.parent), "experiment": "startup", "max_iterations": 1})


MEASURE: dict[str, Callable[[Config, Options], Result]] = {"floor": floor, "env": env, "train": train, "reward": reward}
"""All but `startup`, which does not return."""


def _shares(seconds: dict[str, float]) -> dict[str, float]:
    """Turn seconds into fractions of their sum; what is negative by rounding of clocks counts as none."""
    positive = {name: max(value, 0.0) for name, value in seconds.items()}
    total = sum(positive.values()) or 1.0
    return {name: round(value / total, 4) for name, value in positive.items()}
