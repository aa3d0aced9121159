# SPDX-License-Identifier: Apache-2.0
"""Measure Myriad itself; each function runs in a process of its own, because PhysX's device lasts as long as one.

Every one takes the resolved configuration and the benchmark's options, and returns a plain dictionary whose `median`,
`min`, `max`, `spread` and `values` are the measurement.
"""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from omni.myriad.benchmark import machine
from omni.myriad.benchmark.options import Options
from omni.myriad.benchmark.timing import EpochClock, grouped_rates, rates, shares, summary
from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from omni.myriad.engine.physx.engine import PhysXEngine

Config = dict[str, Any]
Result = dict[str, Any]
Train = Callable[[Config, Any, Path, EpochClock], Any]
"""What trains in an environment, given the run's folder and a clock to tell of its epochs."""
CURVE_POINTS = 200


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Return a function that waits until the device is done."""
    return (lambda: torch.cuda.synchronize(device)) if device.type == "cuda" else (lambda: None)


def stepped(step: Callable[[], Any], num_envs: int, device: torch.device, options: Options) -> Result:
    """Measure a function that steps `num_envs` environments."""

    def advance(steps: int) -> None:
        for _ in range(steps):
            step()

    return advanced(advance, num_envs, device, options)


def advanced(advance: Callable[[int], None], num_envs: int, device: torch.device, options: Options) -> Result:
    """Measure a function that makes so many steps of `num_envs` environments."""
    warm_up = 64 if options.seconds >= 0.5 else 8  # robots have landed by then; shorter windows are for trying out
    found = rates(advance, synchronizer(device), options.repeats, options.seconds, warm_up)
    steps = {**summary([num_envs * rate for rate in found]), "unit": "environment steps/s"}
    return steps | {"memory": machine.memory(device)}


def trained(clock: EpochClock, frames_per_epoch: int, options: Options) -> Result:
    """Return the rate of a training that a clock followed, without the fifth of its epochs that warms up."""
    found = grouped_rates(clock.marks, options.repeats, options.epochs // 5)
    return {**summary([frames_per_epoch * rate for rate in found]), "unit": "frames/s"}


def bare_loop(config: Config, options: Options) -> Result:
    """Measure a bare loop of the engine on the task's scene: random torques in, root and joints out."""
    from omni.myriad.app.runs import make_env

    env = make_env(config)
    engine: Any = env.engine
    if engine.name not in ("physx", "newton"):
        raise MyriadError(f"Standalone PhysX and Newton have a bare loop, and engine={engine.name} runs.")
    loops: Any = importlib.import_module(f"omni.myriad.engine.{engine.name}.bare_loop")

    efforts = [term.scale for term in env.task.action_terms() if term.kind == "effort"]
    max_effort = max((max(scale) if isinstance(scale, tuple) else scale for scale in efforts), default=1.0)
    loop = loops.BareLoop(engine, max_effort, env.task.control_frequency_inv)

    result = advanced(loop.advance, env.num_envs, env.device, options) | {"phases": shares(loop.seconds)}
    result["free_running"] = advanced(partial(loop.advance, in_step=False), env.num_envs, env.device, options)
    result |= {"shards": len(engine.shards), "max_effort": max_effort, "reads": list(loops.READS)}
    result["engine"] = engine.version
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

    def step() -> None:
        env.step(actions.uniform_(-1.0, 1.0))

    result = stepped(step, env.num_envs, env.device, options)
    # Once more, for what part of the time goes into physics, reading, the task and the rest.
    steps = max(1, round(options.seconds * result["median"] / env.num_envs))
    before, read_before = dict(env.phase_seconds), env.engine.phase_seconds["read"]
    start = time.perf_counter()
    for _ in range(steps):
        step()
    synchronizer(env.device)()
    elapsed = time.perf_counter() - start
    spent = {name: seconds - before[name] for name, seconds in env.phase_seconds.items()}
    read = env.engine.phase_seconds["read"] - read_before  # engines read as their steps end
    spent |= {"read": read, "physics": spent["physics"] - read, "other": elapsed - sum(spent.values())}
    shards = len(cast("PhysXEngine", env.engine).shards) if env.engine.name == "physx" else None
    result |= {"phases": shares(spent), "shards": shards, "engine": env.engine.version}
    env.close()
    return result


def camera(config: Config, options: Options) -> Result:
    """Measure a task's cameras alone: robots are put where physics has them, and pictures drawn, again and again.

    Beside them stands how long the physics of a control step takes.
    """
    from omni.myriad.app.runs import make_env
    from omni.myriad.engine.camera.view import CameraView

    env = make_env(config)
    env.reset()
    engine = env.engine
    cameras = [view for view in engine.scene.views() if isinstance(view, CameraView)]
    if not cameras:
        raise MyriadError(f"Task {env.task.name} has no CameraView: measure=camera takes one such as CartpoleCamera.")

    def draw() -> None:
        engine.num_steps += 1  # else the pictures would still be those of the last step
        for view in cameras:
            view.draw()

    drawn = stepped(draw, sum(view.count for view in cameras), env.device, options)
    moved = stepped(env.task.step_physics, env.num_envs, env.device, options)
    draw()
    seconds = {"camera": 1.0 / drawn["median"] * len(cameras), "physics": 1.0 / moved["median"]}
    sizes = {view.name: [*view.camera_resolution, view.count] for view in cameras}
    env.close()
    return drawn | {"unit": "pictures/s", "phases": shares(seconds), "cameras": sizes, "physics": moved["median"]}


def train(config: Config, options: Options) -> Result:
    """Measure training by the wall clock between epochs: logging, statistics and checkpoints included."""
    clock, memory = timed_training(config | {"max_iterations": options.epochs})
    if not clock.epochs:
        return {}  # one of several ranks, and not the one that is told of epochs
    warm_up = options.epochs // 5
    kept, frames_per_epoch = clock.epochs[warm_up:], clock.epochs[0].epoch_frames
    parts = ("physics", "task", "policy", "update")
    spent: dict[str, float] = {part: sum(getattr(epoch, f"{part}_seconds") for epoch in kept) for part in parts}
    spent["other"] = clock.marks[-1] - clock.marks[warm_up] - sum(spent.values())
    return {
        **trained(clock, frames_per_epoch, options),
        "phases": shares(spent),
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
    clock, memory = timed_training(config)
    ends = zip(clock.epochs, clock.marks[1:], strict=True)
    curve = [(epoch.frames, round(end, 3), epoch.reward_mean) for epoch, end in ends if epoch.reward_mean is not None]
    passed = {wanted: next((end for _, end, mean in curve if mean > wanted), None) for wanted in options.reward}
    return {
        "seed": config["seed"],
        "reached": {f"seconds_to_{wanted:g}": end for wanted, end in passed.items()},
        "best": max((mean for *_, mean in curve), default=None),
        "frames": clock.epochs[-1].frames,
        "seconds": round(clock.marks[-1], 3),
        "curve": _thinned(curve),
        "memory": memory,
    }


def _thinned(curve: list[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    step = -(-len(curve) // CURVE_POINTS) or 1
    return curve[:-1:step] + curve[-1:]


def timed_training(config: Config, train: Train | None = None) -> tuple[EpochClock, dict[str, float]]:
    """Train, by default as ours are, in a folder that is thrown away; return the clock that followed, and memory."""
    from omni.myriad.app.runs import make_env
    from omni.myriad.learn import run

    env, clock = make_env(config), EpochClock()
    with tempfile.TemporaryDirectory() as folder:
        (train or run.train)(config, env, Path(folder) / "run", clock)
    memory = machine.memory(env.device)
    env.close()
    return clock, memory


class _FirstStepDoneError(Exception):
    """Ends a training whose first step is all that was wanted."""


class _FirstStep:
    """An environment whose first step, its reset with which every learner begins, ends the training.

    Attributes:
        marks: When what came before ended, and that step.
    """

    def __init__(self, env: Any) -> None:
        ready = time.time()
        self._env, self.marks = env, {"engine": ready - env.set_up_seconds, "scene and clones": ready}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self) -> None:
        """Reset as `VecEnv.reset` does."""
        self.marks["learner"] = time.time()
        self._env.reset()
        synchronizer(self._env.device)()
        self.marks["first step"] = time.time()
        raise _FirstStepDoneError(self.marks, machine.memory(self._env.device))


def startup(config: Config, options: Options) -> Result:
    """Run the command `train` up to the end of its first environment step.

    Args:
        config: Resolved configuration, and in `started` when the command was, `time.time()`.
        options: The benchmark's options.
    """
    from omni.myriad.app import runs

    marks, memory = {"imports and configuration": time.time()}, {}
    settings = config | {"experiment": "startup", "max_iterations": 1}
    try:
        runs.train(settings, lambda config: cast("Any", _FirstStep(runs.make_env(config))))
    except _FirstStepDoneError as done:
        marks |= done.args[0]
        memory = done.args[1]
    times = (config["started"], *marks.values())
    phases = {name: round(end - begin, 4) for name, (begin, end) in zip(marks, pairwise(times), strict=True)}
    return {"seconds": round(times[-1] - times[0], 4), "phases": phases, "memory": memory}


MEASURE = {function.__name__: function for function in (bare_loop, env, camera, train, reward, startup)}
