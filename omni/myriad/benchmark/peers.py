# SPDX-License-Identifier: Apache-2.0
"""Measure others on the same machine, where they are installed; none is a dependency of Myriad.

Each function takes the resolved configuration and the benchmark's options, and returns a measurement like those in
`measurements`. What its number may and may not be compared with is in PEERS, beside it.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import torch

from omni.myriad.benchmark import isaaclab, timing
from omni.myriad.benchmark.measurements import Config, Result, stepped, timed_training, trained
from omni.myriad.benchmark.options import Options
from omni.myriad.places import data_folder

ANT = data_folder("assets") / "ant" / "ant.xml"
MJLAB_TASK = "Mjlab-Velocity-Flat-Unitree-Go1"
_ENVS_PER_VECTOR = 16  # of gymnasium: beyond a handful, more in a loop are not faster


def rl_games(config: Config, options: Options, compiled: bool = False) -> Result:
    """Measure stock rl-games; its networks not compiled, as our configuration has it, or compiled, its own default."""
    from omni.myriad.learn.rl_games import stock

    def train(config: Config, env: Any, run_dir: Path, clock: timing.EpochClock) -> None:
        stock.train(config, env, run_dir, compiled, clock.tick)

    clock, memory = timed_training(config | {"max_iterations": options.epochs + 1}, train)
    frames_per_epoch = config["task"]["env"]["numEnvs"] * config["train"]["params"]["config"]["horizon_length"]
    return trained(clock, frames_per_epoch, options) | {"memory": memory}


def mujoco_warp(config: Config, options: Options) -> Result:
    """Measure MuJoCo Warp on our own Ant, 2 steps of 1/120 s in one CUDA graph, random torques, nothing read back."""
    # Imported by name, here as below, so that no type checker looks for what is not among our requirements.
    mujoco, mujoco_warp, warp = map(import_module, ("mujoco", "mujoco_warp", "warp"))
    env_cfg, device = config["task"]["env"], torch.device(config["sim_device"])
    warp.set_device(config["sim_device"])
    model = mujoco.MjModel.from_xml_path(str(ANT))
    model.opt.timestep = config["task"]["sim"]["dt"]
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    on_device = mujoco_warp.put_model(model)
    # Room for 16 contacts of 4 rows each and 8 joint limits in every world.
    worlds = mujoco_warp.put_data(model, data, nworld=env_cfg["numEnvs"], nconmax=16, njmax=72)
    max_torque = env_cfg.get("jointGears", 1.0) * env_cfg.get("powerScale", 1.0)
    controls = warp.to_torch(worlds.ctrl)

    def control_step() -> None:
        for _ in range(env_cfg["controlFrequencyInv"]):
            mujoco_warp.step(on_device, worlds)

    control_step()  # compiles
    warp.synchronize()
    replay: Callable[[], None] = control_step
    # torch draws torques on warp's stream: on one of its own, they could change within a step.
    stream: Any = contextlib.nullcontext()
    if device.type == "cuda":
        with warp.ScopedCapture() as capture:
            control_step()
        replay = functools.partial(warp.capture_launch, capture.graph)
        stream = torch.cuda.stream(warp.stream_to_torch(warp.get_device()))

    def step() -> None:
        controls.uniform_(-max_torque, max_torque)
        replay()

    with stream:
        result = stepped(step, env_cfg["numEnvs"], device, options)
    if not bool(warp.to_torch(worlds.qpos).isfinite().all()):
        result["warning"] = "some worlds diverged"
    return result


def gymnasium(config: Config, options: Options) -> Result:
    """Measure gymnasium's Ant-v5 on the CPU, random actions: as shipped and with our steps, in both vectorisations.

    `median` is that of the fastest with Ant-v5 as it is shipped.
    """
    cores = len(os.sched_getaffinity(0))
    variants = {}
    with tempfile.TemporaryDirectory() as folder:
        ours = {"xml_file": _ant_with_timestep(Path(folder), config["task"]["sim"]["dt"])}
        ours["frame_skip"] = config["task"]["env"]["controlFrequencyInv"]
        for physics, kwargs in (("as shipped: 5 steps of 1/100 s", {}), ("2 steps of 1/120 s, as ours", ours)):
            found = _vector_rates("async", cores, kwargs, options)
            variants[f"AsyncVectorEnv of {cores}, {physics}"] = timing.summary(found)
            name = f"{cores} processes, a SyncVectorEnv of {_ENVS_PER_VECTOR} each, {physics}"
            variants[name] = _sync_vectors(cores, kwargs, options)
    best = max((name for name in variants if "as shipped" in name), key=lambda name: variants[name]["median"])
    return {**variants[best], "unit": "environment steps/s", "variant": best, "variants": variants}


def _ant_with_timestep(folder: Path, timestep: float) -> str:
    """Write gymnasium's own ant.xml with another time step, and return the path."""
    import gymnasium.envs.mujoco as package

    tree = ElementTree.parse(Path(package.__file__).parent / "assets" / "ant.xml")
    for option in tree.iter("option"):
        option.set("timestep", str(timestep))
    path = folder / "ant.xml"
    tree.write(path)
    return str(path)


def _vector_rates(
    mode: str, num_envs: int, kwargs: dict[str, Any], options: Options, together: Any = None
) -> list[float]:
    """Return the steps per second of an Ant-v5 in each window; `together` lets processes begin at once."""
    import gymnasium

    env = gymnasium.make_vec("Ant-v5", num_envs=num_envs, vectorization_mode=mode, **kwargs)
    env.reset(seed=0)

    def advance(steps: int) -> None:
        for _ in range(steps):
            env.step(env.action_space.sample())

    if together is not None:
        together.wait(timeout=60)
    found = timing.rates(advance, lambda: None, options.repeats, options.seconds, 16)
    env.close()
    return [num_envs * rate for rate in found]


def _sync_vectors(cores: int, kwargs: dict[str, Any], options: Options) -> Result:
    return _in_processes(cores, _vector_rates, "sync", _ENVS_PER_VECTOR, kwargs, options)


def _in_processes(cores: int, rates: Callable[..., list[float]], *of_each: Any) -> Result:
    """Measure in as many processes at once; `rates` gets arguments, and what lets them begin together."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(cores) as pool:
        found = pool.starmap(rates, [(*of_each, manager.Barrier(cores))] * cores, chunksize=1)
    return timing.summary([sum(of_repeat) for of_repeat in zip(*found, strict=True)])


def dart(config: Config, options: Options) -> Result:
    """Measure DART on the CPU: our own Ant, one in a loop per process, as many processes as cores."""
    cores = len(os.sched_getaffinity(0))
    env_cfg = config["task"]["env"]
    max_effort = env_cfg.get("jointGears", 1.0) * env_cfg.get("powerScale", 1.0)
    of_each = config["task"]["sim"]["dt"], env_cfg["controlFrequencyInv"], max_effort
    found = _in_processes(cores, _dart_rates, of_each, options)
    return {**found, "unit": "environment steps/s", "variants": {f"{cores} processes, a robot each": found}}


def _dart_rates(of_each: tuple[float, int, float], options: Options, together: Any) -> list[float]:
    from omni.myriad.benchmark.dart import DartAnt

    ant = DartAnt(ANT, *of_each)

    def advance(steps: int) -> None:
        for _ in range(steps):
            ant.step()

    together.wait(timeout=60)
    return timing.rates(advance, lambda: None, options.repeats, options.seconds, 120)


def isaac_lab(config: Config, options: Options) -> Result:
    """Measure Isaac Lab's own Ant, on our robot, in an environment of its own."""
    return isaaclab.measure(config["sim_device"], config["task"]["env"]["numEnvs"], options)


def mjlab(config: Config, options: Options) -> Result:
    """Measure mjlab's own flat-ground Unitree Go1, stepped with random actions."""
    # On import mjlab asks for EGL, which a machine without a display may lack; nothing is rendered here.
    os.environ.setdefault("MUJOCO_GL", "disabled")
    import_module("mjlab.tasks")  # registers the tasks
    settings = import_module("mjlab.tasks.registry").load_env_cfg(MJLAB_TASK)
    settings.scene.num_envs = num_envs = config["task"]["env"]["numEnvs"]
    env = import_module("mjlab.envs").ManagerBasedRlEnv(cfg=settings, device=config["sim_device"])
    env.reset()
    device = torch.device(config["sim_device"])
    actions = torch.empty((num_envs, env.action_manager.total_action_dim), device=device)
    result = stepped(lambda: env.step(actions.uniform_(-1.0, 1.0)), num_envs, device, options)
    env.close()
    return result | {"physics_step_s": float(settings.sim.mujoco.timestep), "decimation": int(settings.decimation)}


@dataclass(frozen=True)
class Peer:
    """Somebody to compare with.

    Attributes:
        title: Its name in tables.
        measure: Measures it.
        packages: What must be installed, as `pip install` is told; their versions are recorded.
        against: Which of our measurements it stands beside: "train" or "env".
        note: What is and what is not comparable.
        by_num_envs: Whether it is measured for each number of environments.
        task: The task that it has a counterpart of; None for any.
        across_devices: Whether its processor against our GPU is what the comparison is for.
        version: Tells the version of one of its packages.
        how_to_install: What to type; empty: `pip install` and its packages.
    """

    title: str
    measure: Callable[[Config, Options], Result]
    packages: tuple[str, ...]
    against: str
    note: str
    by_num_envs: bool = True
    task: str | None = None
    across_devices: bool = False
    version: Callable[[str], str] = metadata.version
    how_to_install: str = ""

    def absence(self, task: str) -> str | None:
        """Return why the peer is not measured beside a task, such as how to install it, or None where it is."""
        if self.task not in (None, task):
            return f"stands beside {self.task} alone"
        try:
            self.versions()
        except metadata.PackageNotFoundError:
            return "not installed: " + (self.how_to_install or f"pip install {' '.join(self.packages)}")
        return None

    def versions(self) -> dict[str, str]:
        """Return the versions of its packages."""
        names = [package.partition("[")[0] for package in self.packages]
        return {name: self.version(name) for name in names}


PEERS = {
    "rl_games": Peer(
        "stock rl-games",
        rl_games,
        ("rl-games",),
        "train",
        "The same environments, network, hyperparameters and precision, without torch.compile; its checkpoints are "
        "switched off and ours are not. Directly comparable.",
    ),
    "rl_games_compiled": Peer(
        "stock rl-games, compiled",
        functools.partial(rl_games, compiled=True),
        ("rl-games",),
        "train",
        "As above with torch.compile, rl-games' own default; the first epochs, in which it compiles, are not counted.",
    ),
    "mujoco_warp": Peer(
        "MuJoCo Warp",
        mujoco_warp,
        ("mujoco", "mujoco-warp"),
        "env",
        "Physics alone, on the same robot (assets/ant/ant.xml) with the same step and decimation: no observations, "
        "rewards or resets, nothing read back. Another contact model and solver (its defaults), so neither accuracy "
        "nor learning curves compare. Compare it with the bare PhysX loop rather than the environment.",
        task="Ant",
    ),
    "gymnasium": Peer(
        "gymnasium Ant-v5",
        gymnasium,
        ("gymnasium[mujoco]", "mujoco", "imageio"),
        "env",
        "Always on the CPU. An ant of the same shape and weight with other joints (armature 1 kg m², 150 N m), 105 "
        "observations and another reward. MuJoCo's 4th-order Runge-Kutta evaluates the dynamics 20 times per step as "
        "shipped (5 steps of 1/100 s) and 8 times with our step and decimation, where PhysX takes 2 steps. A step as "
        "shipped is 50 ms of simulated time, ours is 17 ms.",
        by_num_envs=False,
        task="Ant",
    ),
    "dart": Peer(
        "DART, one robot per core",
        dart,
        ("dartpy",),
        "env",
        "Always on the CPU. The engine that Gazebo uses by default, without Gazebo's own overhead: our own ant "
        "(assets/ant/ant.xml, without its armatures) in a loop per core, with the same step and decimation, random "
        "torques, joints read; no observations, rewards or resets.",
        by_num_envs=False,
        task="Ant",
        across_devices=True,
    ),
    "isaaclab": Peer(
        "Isaac Lab",
        isaac_lab,
        ("isaaclab",),
        "env",
        "Its task Isaac-Ant-Direct on our robot, without Isaac Sim: as many observations and actions, the same step "
        "and decimation, so environment steps compare. Armature 0.05 kg m², episodes of 960 steps, and death costs 120 "
        "times ours. It trains with rsl_rl: rollouts of 32 steps, 5 epochs of 4 minibatches, a 400-200-100 network. "
        "Its rewards are multiplied by the seconds of a control step, which is undone here; that they pass the same "
        "number compares the two only roughly.",
        task="Ant",
        version=isaaclab.version,
        how_to_install="./myriad python -m omni.myriad.benchmark.isaaclab",
    ),
    "mjlab": Peer(
        "mjlab Go1, flat",
        mjlab,
        ("mjlab",),
        "env",
        "Another robot (12 joints), another task with randomisation and contact sensors, 4 physics steps of 5 ms in a "
        "control step. The order of magnitude compares, no more.",
        task="Ant",
    ),
}
