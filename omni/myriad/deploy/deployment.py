# SPDX-License-Identifier: Apache-2.0
"""A policy's file against its trainer: the same starts for its actor, for one robot in PhysX and in MuJoCo."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

from omni.myriad.deploy.episodes import Episodes, FileActor, SingleRobot, draw_starts, only, play
from omni.myriad.deploy.report import Report
from omni.myriad.engine import ENV_0_PATH, load
from omni.myriad.engine.view import RobotView
from omni.myriad.env.vec_env import VecEnv
from omni.myriad.errors import MyriadError
from omni.myriad.files import from_finite_json
from omni.myriad.learn import checkpoint
from omni.myriad.learn.run import make_actor
from omni.myriad.policy.runtime import Policy, PolicyError
from omni.myriad.render.video import Film
from omni.myriad.viewer.session import visible

ENGINES = {"physx": "PhysX", "mujoco": "MuJoCo", "newton": "Newton"}
"""The engines that a policy is judged in, and what the table calls them."""
FILM_SECONDS = 6.0


def deploy(config: Mapping[str, Any], file: Path, engine: str = "physx") -> Report:
    """Run a policy's file outside its trainer, print how it compares, and write table and videos next to it.

    Everything runs on the CPU, where starts and physics repeat to the bit.

    Args:
        config: The resolved configuration: `episodes`, `seed`, `video`, `train_dir`, `checkpoint` (else the one the
            file was exported from, where it is found), `task.task_path`; `mass`, `friction` and `latency`, by which the
            one robot differs from those that the policy was trained on. All other settings are the file's.
        file: The .onnx file.
        engine: "physx", or "mujoco" or "newton", or both with a comma, for the same robot in these as well.

    Raises:
        MyriadError: If the file, its task or its robot is not as it must be.
    """
    engines = engine.split(",")
    for name in engines:
        if name not in ENGINES:
            raise MyriadError(f"engine={name} is unknown here; choose one of: {', '.join(ENGINES)}.")
        load(name)  # if it is missing, that is said before anything starts
    try:
        return _deploy(config, file, engines)
    except PolicyError as error:
        raise MyriadError(f"{error}.") from None


def _deploy(config: Mapping[str, Any], file: Path, engines: Sequence[str]) -> Report:
    from omni.myriad.app import runs

    policy = Policy(file)
    meta = policy.metadata
    if not policy.can_act:
        raise MyriadError(
            f"{file} does not say which joints it observes and commands, so no robot can be driven with it."
        )
    path = _find_checkpoint(meta, config, file)
    report = Report(file, meta["task"]["name"], config["episodes"], config["seed"], policy.control_dt)
    report.changed = {name: config[name] for name in ("mass", "friction", "latency")}

    trained = _settings(meta, config, config["episodes"])
    with closing(runs.make_env(trained)) as env:
        view_name = _robot(env, policy)
        print(f"{file.name}: {config['episodes']} episodes of {env.task.name} at once, then one by one ...", flush=True)
        starts = draw_starts(env)
        if path is not None:
            state = checkpoint.load(path)
            report.add("trainer", play(env, make_actor(trained, env, state, path), starts, view_name))
        else:
            report.notes.append("No checkpoint with the hash in the file was found: the trainer's player is left out.")
        report.add("file, batched", play(env, FileActor(policy), starts, view_name))

    for name in dict.fromkeys(("physx", *engines)):
        settings = _settings(meta, config, 1, name)
        settings["task"]["sim"] |= {"mass_scale": config["mass"], "friction_scale": config["friction"]}
        with closing(runs.make_env(settings)) as env:
            view, film = env.engine.robots()[view_name], Film(env.task)
            _set_drives(view, meta["joints"])
            robot = SingleRobot(env, policy, view_name, config["latency"])
            print(f"{ENGINES[name]}: {config['episodes']} episodes of one robot ...", flush=True)
            seen = visible(env, config, file, {"title": f"{file.name} in {ENGINES[name]}"})
            with seen if config["viewer"] else contextlib.nullcontext():
                at_origin = bool(policy.images) or _has_company(env)
                results = [play(robot, robot, only(starts, 0, at_origin), view_name, film)]
                others = track(range(1, config["episodes"]), f"{ENGINES[name]}, one robot")
                results += [play(robot, robot, only(starts, index, at_origin), view_name) for index in others]
            report.add(ENGINES[name], Episodes.joined(results), env.engine.version)
            if config["video"] is not False:
                report.videos[name] = film.write(report.folder / name, FILM_SECONDS)
    report.write()
    return report


def _settings(
    meta: Mapping[str, Any], asked: Mapping[str, Any], num_envs: int, engine: str = "physx"
) -> dict[str, Any]:
    """Return the configuration that the file carries, for this machine."""
    config = from_finite_json(meta["config"])
    config |= {"sim_device": "cpu", "multi_gpu": False, "test": True, "checkpoint": "", "seed": asked["seed"]}
    config["engine"] = asked["engine"] | {"name": engine}
    config["task"]["env"]["numEnvs"] = num_envs
    config["task"]["domain_randomization"] = None  # a robot is as it is
    config["task"]["task_path"], config["oige"] = asked["task"]["task_path"], ""  # what a file names must not be run
    return config


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


def _has_company(env: VecEnv) -> bool:
    """Tell whether there is something beside the robot, such as a table that no view can move to a start's place."""
    children = env.engine.stage.GetPrimAtPath(ENV_0_PATH).GetChildren()
    return len([child for child in children if child.GetName() not in env.task.markers]) > 1


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
    shipped = file.with_name("checkpoint.pth")
    if fits(shipped):
        return shipped
    runs = [file.absolute().parent.parent, Path(config["train_dir"]) / str(meta["run"]["name"])]
    places = [run / "checkpoints" / meta["run"]["checkpoint"] for run in runs]
    return next((path for path in places if fits(path)), None)
