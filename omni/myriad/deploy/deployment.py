# SPDX-License-Identifier: Apache-2.0
"""A policy's file against its trainer: the same starts for its actor, for one robot in PhysX and in MuJoCo."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omni.myriad.deploy.episodes import Episodes, FileActor, Film, SingleRobot, Starts, draw_starts, only, play
from omni.myriad.deploy.report import Report
from omni.myriad.engine.base import RobotView
from omni.myriad.env.vec_env import VecEnv
from omni.myriad.errors import MyriadError
from omni.myriad.files import from_finite_json
from omni.myriad.learn import checkpoint
from omni.myriad.learn.run import make_actor
from omni.myriad.oige.config import take_checkout
from omni.myriad.policy.runtime import Policy, PolicyError

ENGINES = {"physx": "PhysX", "mujoco": "MuJoCo"}
"""The engines that a policy is judged in, and what the table calls them."""
FILM_SECONDS = 6.0


def deploy(config: Mapping[str, Any], file: Path, engine: str = "physx") -> Report:
    """Run a policy's file outside its trainer, print how it compares, and write table and videos next to it.

    Everything runs on the CPU, where starts and physics repeat to the bit.

    Args:
        config: The resolved configuration: `episodes`, `seed`, `video`, `train_dir`, `checkpoint` (else the one the
            file was exported from, where it is found), `task.task_path`. All other settings are the file's.
        file: The .onnx file.
        engine: "physx", or "mujoco" for the same robot in MuJoCo as well.

    Raises:
        MyriadError: If the file, its task or its robot is not as it must be.
    """
    if engine not in ENGINES:
        raise MyriadError(f"engine={engine} is unknown here; choose one of: {', '.join(ENGINES)}.")
    if engine == "mujoco":
        import omni.myriad.engine.mujoco  # noqa: F401 - if MuJoCo is missing, it is said before anything starts
    try:
        return _deploy(config, file, engine)
    except PolicyError as error:
        raise MyriadError(f"{error}.") from None


def _deploy(config: Mapping[str, Any], file: Path, engine: str) -> Report:
    from omni.myriad.app import runs

    policy = Policy(file)
    meta = policy.metadata
    if not policy.can_act:
        raise MyriadError(
            f"{file} does not say which joints it observes and commands, so no robot can be driven with it."
        )
    trained = _settings(meta, config)
    path = _find_checkpoint(meta, config, file)
    report = Report(file, meta["task"]["name"], config["episodes"], config["seed"], policy.control_dt)

    env = runs.make_env(_sized(trained, config["episodes"]))
    try:
        view_name = _robot(env, policy)
        starts = draw_starts(env)
        if path is not None:
            state = checkpoint.load(path)
            report.add("trainer", play(env, make_actor(trained, env, state, path), starts, view_name))
        else:
            report.notes.append("No checkpoint with the hash in the file was found: the trainer's player is left out.")
        report.add("file, batched", play(env, FileActor(policy), starts, view_name))
    finally:
        env.close()

    for name in ENGINES if engine == "mujoco" else ("physx",):
        env = runs.make_env(_sized(trained, 1, name))
        try:
            robot = env.engine.robots()[view_name]
            _set_drives(robot, meta["joints"])
            film = Film(robot.body_names)
            episodes = _alone(env, policy, starts, view_name, film, config["episodes"])
            report.add(ENGINES[name], episodes, env.engine.version)
            if config["video"]:
                report.videos[name] = _film(env.engine.stage, film, report.folder / name, policy.control_dt)
        finally:
            env.close()
    report.write()
    return report


def _alone(env: VecEnv, policy: Policy, starts: Starts, view_name: str, film: Film, episodes: int) -> Episodes:
    robot = SingleRobot(env, policy, view_name)
    results = [
        play(robot, robot, only(starts, index), view_name, film if index == 0 else None) for index in range(episodes)
    ]
    return Episodes(*map(np.concatenate, zip(*results, strict=True)))


def _film(stage: Any, film: Film, path: Path, dt: float) -> Path:
    from omni.myriad.render.video import film_robot

    frames = max(1, math.ceil(FILM_SECONDS / dt))
    return film_robot(stage, film.body_names, film.positions[:frames], film.orientations[:frames], dt, path)


def _settings(meta: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration that the file carries, for this machine."""
    config = from_finite_json(meta["config"])
    config |= {"sim_device": "cpu", "multi_gpu": False, "test": True, "checkpoint": "", "seed": asked["seed"]}
    config["engine"] = asked["engine"]
    config["task"]["task_path"] = asked["task"]["task_path"] or config["task"]["task_path"]
    take_checkout(config, asked)
    return config


def _sized(config: dict[str, Any], num_envs: int, engine: str = "physx") -> dict[str, Any]:
    sized = copy.deepcopy(config)
    sized["task"]["env"]["numEnvs"] = num_envs
    sized["engine"]["name"] = engine
    return sized


def _set_drives(robot: RobotView, joints: Mapping[str, Any]) -> None:
    """Give a robot the gains and armatures that the file carries, whatever its own file says by now."""
    stiffness, damping, armature = (torch.tensor([joints[key]]) for key in ("stiffness", "damping", "armature"))
    which = [robot.get_dof_index(name) for name in joints["names"]]
    robot.set_gains(stiffness, damping, joint_indices=which)
    robot.set_armatures(armature, joint_indices=which)


def _robot(env: VecEnv, policy: Policy) -> str:
    """Return the name of the view of the robot that has the policy's joints."""
    for name, view in env.engine.robots().items():
        if set(policy.joint_names) <= set(view.dof_names):
            return name
    raise MyriadError(f"Task {env.task.name} has no robot with the policy's joints: {', '.join(policy.joint_names)}.")


def _find_checkpoint(meta: Mapping[str, Any], config: Mapping[str, Any], file: Path) -> Path | None:
    """Return the checkpoint that the file was exported from: the one given, or one in its run that has its hash.

    Raises:
        MyriadError: If the one given is another.
    """
    from omni.myriad.app.run_folder import find_checkpoint

    def fits(path: Path) -> bool:
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == meta["run"]["checkpoint_sha256"]

    if config["checkpoint"]:
        path = find_checkpoint(config["checkpoint"], "best", config["train_dir"])
        if not fits(path):
            raise MyriadError(f"checkpoint {path} is not the one that {file} was exported from.")
        return path
    runs = [file.absolute().parent.parent, Path(config["train_dir"]) / str(meta["run"]["name"])]
    places = [run / "checkpoints" / meta["run"]["checkpoint"] for run in runs]
    return next((path for path in places if fits(path)), None)
