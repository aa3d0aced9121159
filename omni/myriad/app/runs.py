# SPDX-License-Identifier: Apache-2.0
"""A run from its configuration to its folder: start the environment, train, play or export, leave everything behind."""

from __future__ import annotations

import contextlib
import copy
import logging
import random
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import OmegaConf

from omni.myriad.app.config import differences
from omni.myriad.app.run_folder import PRETRAINED, claimed, find_checkpoint, trained_checkpoint
from omni.myriad.app.tables import print_table, show_table
from omni.myriad.env.garbage import uncollected
from omni.myriad.env.vec_env import VecEnv
from omni.myriad.errors import MyriadError
from omni.myriad.files import finite_json, write_json, write_text
from omni.myriad.learn import checkpoint, ranks, run
from omni.myriad.learn.base import learner_name, room
from omni.myriad.learn.fault import Fault, load_fault, put_motion
from omni.myriad.learn.record.report import write_report
from omni.myriad.learn.rollout import rollout
from omni.myriad.oige.config import load_task, take_checkout, vec_env_class
from omni.myriad.places import COMMAND
from omni.myriad.policy import description, recording
from omni.myriad.provenance import git_revision, machine, versions
from omni.myriad.task.terms import terms_table
from omni.myriad.viewer.session import visible

if TYPE_CHECKING:
    from omni.myriad.engine import SimConfig
    from omni.myriad.learn.base import Learner, Watch
    from omni.myriad.task.rl_task import RLTask

logger = logging.getLogger(__name__)

FILM_SECONDS = 6.0

Build = Callable[[dict[str, Any]], VecEnv]
"""What makes an environment from a configuration, for those who do it in another way than `make_env`."""


def train(config: dict[str, Any], build: Build | None = None, watch: Watch | None = None) -> dict[str, Any]:
    """Train as configured and return the summary, which the run's folder also holds.

    Args:
        config: The resolved configuration of `config.load_config`.
        build: Makes the environment, by default `make_env`.
        watch: Told of the run's progress.

    Raises:
        MyriadError: If the run's folder is taken, or anything the run needs is wrong.
        KeyboardInterrupt: On Ctrl-C, after the last checkpoint was written; its message says where.
    """
    room(config)  # an unknown learner, or one that is not installed, is said before physics starts
    if config["multi_gpu"]:
        ranks.join(config["sim_device"])
    resume = None
    if config["checkpoint"]:
        if config["checkpoint"] == PRETRAINED:
            raise MyriadError("checkpoint=pretrained is there to be played: train goes on from a run of yours.")
        config["checkpoint"] = str(find_checkpoint(config["checkpoint"], "last", config["train_dir"]))
        resume = checkpoint.load(config["checkpoint"])  # an unreadable file is said before physics starts
    with claimed(config) if ranks.rank() == 0 else contextlib.nullcontext() as folder:
        run_dir = Path(ranks.agree(str(folder)))  # the first rank's
        return _train(config, run_dir, build or make_env, watch, resume)


def _train(
    config: dict[str, Any], run_dir: Path, build: Build, watch: Watch | None, resume: dict[str, Any] | None
) -> dict[str, Any]:
    is_first = ranks.rank() == 0
    if is_first:
        _announce(config, run_dir)
    env = build(config)
    config["engine"]["name"] = env.engine.name  # what auto turned out to be
    with closing(env):
        if is_first:
            _write_provenance(config, env, run_dir)
            show_table(terms_table(env.task))

        films = None
        if config["video"] and is_first:
            from omni.myriad.render.films import TrainingFilms  # and pxr, which Kit has to load first

            films = TrainingFilms(env, run_dir / "films", config["video_every"])

        def finished(learner: Learner) -> None:
            if films is not None:
                films.close()
            if checkpoint.kept(run_dir / "checkpoints"):
                recording.record(env, learner.actor()).save(run_dir / recording.FILE_NAME)
            if config["wandb_activate"]:
                _export_for_wandb(config, run_dir)

        about = {"title": f"{config['task_name']}: {run_dir.name}", "run_dir": str(run_dir.absolute())}
        with contextlib.ExitStack() as ending:
            if is_first:
                ending.enter_context(visible(env, config, run_dir, about))
            if films is not None:
                ending.callback(films.stop)
            told = [films] if films is not None else []
            summary, _ = run.train(config, env, run_dir, watch, resume, finished if is_first else None, told)
    if is_first:
        _print_result(summary, run_dir, config["oige"])
    return summary


def _export_for_wandb(config: dict[str, Any], run_dir: Path) -> None:
    """Write the policy's file, which Weights & Biases gets with the rest of the run."""
    try:
        export(copy.deepcopy(config) | {"checkpoint": str(run_dir), "output": "", "opset": 17})
    except (MyriadError, ImportError) as error:
        logger.warning("wandb gets no policy's file: %s", error)


def play(config: dict[str, Any], build: Build | None = None) -> dict[str, Any]:
    """Play a checkpoint, print reward and length of its episodes and write them beside it as `play.json`.

    Args:
        config: The resolved configuration; without `checkpoint` the task's last run is played.
        build: Makes the environment, by default `make_env`.

    Raises:
        MyriadError: If there is no checkpoint, or it belongs to another task.
    """
    if config["fault"]:
        return replay(config, build)
    path = trained_checkpoint(config)
    state = checkpoint.load(path)  # an unreadable file is said before physics starts
    config["test"] = True
    trained = state["myriad"]["config"]
    config["train"] |= {"learner": learner_name(trained), "library": trained["train"].get("library")}
    if config["num_envs"] is None and not config["viewer"]:  # more than episodes would play for nobody
        numbers = config["task"]["env"]
        numbers["numEnvs"] = max(1, min(numbers["numEnvs"], config["episodes"]))
    with closing((build or make_env)(config)) as env:
        if config["viewer"]:
            return _show(env, config, path, state)
        film = None
        if config["video"]:
            from omni.myriad.render.video import Film  # and pxr, which Kit has to load first

            film = Film(env.task, FILM_SECONDS)
            env.watchers.append(film)
        result = run.play(config, env, path, config["episodes"], state)
        # What the task has to say of its last episodes, such as how many succeeded.
        result |= {name: float(value) for name, value in env.task.extras.get("episode", {}).items()}
        if config["checkpoint"] == PRETRAINED:
            target = Path(config["train_dir"]).absolute() / f"{PRETRAINED}_{config['task_name']}" / "play.json"
        elif path.parent.name == "checkpoints":
            target = path.parent.parent / "play.json"
        else:
            target = path.with_suffix(".play.json")
        if film is not None:
            result["video"] = str(film.write(target, FILM_SECONDS))
    write_json(target, result)
    _print_table(result, target)
    _renew_report(path)
    return result


def _show(env: VecEnv, config: dict[str, Any], path: Path, state: dict[str, Any]) -> dict[str, Any]:
    """Play on a live page until Ctrl-C; there, the policies of other checkpoints beside this one can be taken, too."""
    paths = [path, *(other for other in sorted(path.parent.glob("*.pth")) if other != path)]
    about = {"title": f"{config['task_name']}: {path}", "real_time": True, "policies": [p.name for p in paths]}
    with visible(env, config, path, about) as source:
        assert source is not None

        class Chosen:
            """The policy that was asked for last."""

            actor = run.make_actor(config, env, state, path)

            def reset(self, num_envs: int) -> None:
                self.actor.reset(num_envs)

            def act(self, observations: Any, done: torch.Tensor | None = None) -> torch.Tensor:
                number, source.chosen_policy = source.chosen_policy, None
                if number is not None and 0 <= number < len(paths):
                    try:
                        loaded = checkpoint.load(paths[number])
                        checkpoint.check_matches(loaded, config, env, paths[number])
                        self.actor, done = run.make_actor(config, env, loaded, paths[number]), None
                        self.actor.reset(env.num_envs)
                    except MyriadError as error:
                        logger.warning("%s", error)
                return self.actor.act(observations, done)

        steps = 0
        with contextlib.suppress(KeyboardInterrupt):
            print("Ctrl-C ends it.", flush=True)
            for _ in rollout(env, Chosen(), env.reset()):
                steps += 1
                source.wait_for_somebody()
    print(f"Played {steps} steps.")
    return {"task": config["task_name"], "checkpoint": str(path), "steps": steps}


def _renew_report(path: Path) -> None:
    """Write the report of a checkpoint's run again, after something was added to it."""
    run_dir = path.parent.parent
    if path.parent.name == "checkpoints" and (run_dir / "run.json").is_file():
        print(f"Report: {write_report(run_dir)}")


def replay(config: dict[str, Any], build: Build | None = None) -> dict[str, Any]:
    """Take the steps again after which a training found something that was not finite, and say what comes of them.

    They are taken by one robot, which stands as that of the environment did when the record began.

    Args:
        config: The resolved configuration: `task`, `fault` and `video`; the film is written beside the file.
        build: Makes the environment, by default `make_env`.

    Raises:
        MyriadError: If the file is no fault of this task, or cannot be replayed.
    """
    path = Path(config["fault"]).expanduser().absolute()
    fault = load_fault(path)
    about = fault.about
    print(f"{about['what']}, in epoch {about['epoch']}")
    if about["task"] != config["task_name"]:
        raise MyriadError(
            f"{path} is of the task {about['task']}, not {config['task_name']}: give task={about['task']}."
        )
    if fault.first_known is None:
        raise MyriadError(
            f"{path}: an episode of it began amid its record, at a start that was not kept; look into it."
        )
    if about["settings_sha256"] != description.settings_hash(config["task"]):
        logger.warning("the task's settings are not those of the training: give the same to see the same")
    config["task"]["env"]["numEnvs"] = 1
    config["test"] = True
    with closing((build or make_env)(config)) as env:
        return _replay(env, fault, path, bool(config["video"]))


def _replay(env: VecEnv, fault: Fault, path: Path, video: bool) -> dict[str, Any]:
    from omni.myriad.render.video import Film

    film = Film(env.task) if video else None
    env.reset()
    put_motion(env, fault.motion)
    found = None
    for step, action in enumerate(torch.as_tensor(fault.actions, device=env.device), start=1):
        observations, rewards, *_ = env.step(action.unsqueeze(0))
        seen = observations["obs"]
        parts = [*(seen.values() if isinstance(seen, dict) else [seen]), rewards]
        if not all(bool(part.isfinite().all()) for part in parts):
            found = step
            break
        if film:
            film.take(float(rewards[0]))
    steps = len(fault.actions)
    said = f"not finite after step {found} of {steps}" if found else f"finite in all {steps} steps"
    result: dict[str, Any] = {"fault": str(path), "steps": steps, "not_finite_after": found}
    if film and found != 1:
        result["video"] = str(film.write(path.with_suffix(""), FILM_SECONDS))
        said += f"; film: {result['video']}"
    print(f"Replayed: {said}")
    return result


def export(config: dict[str, Any], build: Build | None = None) -> dict[str, Any]:
    """Export a checkpoint as one ONNX file, proven against its learner's actor, and return its metadata.

    What the run's folder holds suffices. If it holds no task.json or observations.npz, or those of other settings than
    the checkpoint's, the task is run for a moment to make them.

    Args:
        config: The resolved configuration: `task`, `checkpoint` (else the task's last run), `output` (else
            `exported/policy.onnx` in the run's folder) and `opset`. The policy's own settings are the checkpoint's.
        build: Makes the environment, if one is needed, by default `make_env`.

    Raises:
        MyriadError: If there is no checkpoint, it belongs to another task, or the exported policy acts differently.
    """
    from omni.myriad.policy.export import Spaces, export_policy

    path = trained_checkpoint(config)
    state = checkpoint.load(path)
    trained = state["myriad"]["task"]
    if trained != config["task_name"]:
        raise MyriadError(
            f"checkpoint {path} was trained for task {trained}, not {config['task_name']}: give task={trained}."
        )
    run_dir = path.parent.parent if path.parent.name == "checkpoints" else None
    beside = (
        Path(config["train_dir"]) / f"{PRETRAINED}_{trained}" if config["checkpoint"] == PRETRAINED else path.parent
    )
    output = Path(config["output"] or (run_dir or beside) / "exported" / "policy.onnx").expanduser().absolute()
    described = description.read_description(run_dir) if run_dir else None
    fits = described and described["settings_sha256"] == description.settings_hash(state["myriad"]["config"]["task"])
    if run_dir and described and fits and (run_dir / recording.FILE_NAME).is_file():
        recorded = recording.load_recording(run_dir / recording.FILE_NAME)
    else:
        described, recorded = _describe_again(state, config, path, run_dir, build or make_env)
    own_config = copy.deepcopy(state["myriad"]["config"]) | {"multi_gpu": False}
    actor = run.make_actor(own_config, Spaces(described, recorded.num_envs), state, path)
    meta = export_policy(actor, state, path, described, recorded, output, config["opset"])
    _renew_report(path)
    parity = meta["parity"]
    print(
        f"Exported {trained} to {output}\n"
        f"Parity with {parity['against']}: maximum error {parity['max_error']:.3g} "
        f"over {parity['steps']:,} steps and {parity['episodes']:,} starts of episodes\n"
        f"Judge: {COMMAND} deploy {output}{_own_tasks(config)}"
    )
    return meta


def _describe_again(
    state: dict[str, Any], asked: dict[str, Any], path: Path, run_dir: Path | None, build: Build
) -> tuple[dict[str, Any], recording.Recording]:
    """Run the task of a checkpoint for a moment, as it was trained, to describe it and record observations."""
    config = copy.deepcopy(state["myriad"]["config"])
    config |= {"sim_device": asked["sim_device"], "multi_gpu": False, "test": True, "checkpoint": str(path)}
    config["engine"] = asked["engine"]  # that of this machine, which need not be the one it was trained on
    config["task"]["env"]["numEnvs"] = recording.MAX_ENVS
    config["task"]["task_path"] = asked["task"]["task_path"]  # what a checkpoint names must not be run
    take_checkout(config, asked)
    print(f"{config['task_name']}: the run holds no description and observations that fit, so the task is run a moment")
    with closing(build(config)) as env:
        described = env.perform(description.describe_task)
        recorded = recording.record(env, run.make_actor(config, env, state, path))
    if run_dir:
        description.write_description(described, run_dir)
        recorded.save(run_dir / recording.FILE_NAME)
    return described, recorded


@uncollected()
def make_env(config: dict[str, Any]) -> VecEnv:
    """Start the engine, load the task and build its scene.

    Args:
        config: The resolved configuration; `seed` is replaced by the one drawn if it is -1.

    Returns:
        The environment, ready to be reset.
    """
    from omni.myriad.engine import make_engine

    sim_config, env_class = _seeded(config), _vec_env_class(config)
    engine = make_engine(sim_config)
    try:
        env = env_class(engine, sim_config)
        env.set_task(_make_task(config, env))
    except BaseException:
        engine.close()
        raise
    return env


def _vec_env_class(config: dict[str, Any]) -> type[VecEnv]:
    return vec_env_class(config) if config["oige"] else VecEnv


async def make_env_async(config: dict[str, Any]) -> VecEnv:
    """Do what `make_env` does inside a running Isaac Sim, on Kit's own loop, where nothing may wait."""
    from omni.myriad.engine import make_engine_async

    sim_config = _seeded(config)
    engine = await make_engine_async(sim_config)
    try:
        env = VecEnv(engine, sim_config)
        await env.set_task_async(_make_task(config, env))
    except BaseException:
        engine.close()
        raise
    return env


def _seeded(config: dict[str, Any]) -> SimConfig:
    from omni.myriad.engine import SimConfig

    if config["sim_device"] != "cpu":
        torch.cuda.set_device(config["sim_device"])  # before anything is made on it: graphs, streams, other libraries
    config["seed"] = ranks.agree(set_seed(config["seed"], config["torch_deterministic"]))
    set_seed(ranks.own_seed(config["seed"]), config["torch_deterministic"])
    return SimConfig(config)


def set_seed(seed: int, torch_deterministic: bool = False) -> int:
    """Seed Python, numpy and torch, and return the seed.

    Args:
        seed: The seed; -1 draws one at random.
        torch_deterministic: Whether torch must refuse operations whose results vary between runs.
    """
    if seed == -1:
        seed = random.SystemRandom().randrange(2**31)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if torch_deterministic != torch.are_deterministic_algorithms_enabled():
        # Only where it changes something: the call imports torch's compiler, which takes seconds.
        torch.use_deterministic_algorithms(torch_deterministic)
    torch.backends.cudnn.deterministic = torch_deterministic
    return seed


def _make_task(config: dict[str, Any], env: VecEnv) -> RLTask:
    if config["oige"]:
        return load_task(config, env)
    from omni.myriad.task.loader import load_task_class

    name = config["task"]["name"]
    task_class = load_task_class(
        config["task"].get("like") or name, [Path(folder) for folder in config["task"]["task_path"]]
    )
    # The three arguments of OmniIsaacGymEnvs' tasks, which have a constructor of their own.
    return task_class(name=name, sim_config=env.sim_config, env=env)


def _write_provenance(config: dict[str, Any], env: VecEnv, run_dir: Path) -> None:
    """Write what is needed to repeat the run: configuration, versions, git state."""
    write_text(run_dir / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
    about = {
        "task": config["task_name"],
        "engine": env.engine.version,
        "device": str(env.device),
        "versions": versions(),
        "git": git_revision(),
        "command": _command(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine(config["sim_device"]),
        "set_up_seconds": round(env.set_up_seconds, 3),
        "differs": finite_json(differences(config)),
    }
    write_json(run_dir / "run.json", about)
    description.write_description(env.perform(description.describe_task), run_dir)


def _command() -> str:
    """Return how this process was started, as one would type it."""
    program = Path(sys.argv[0]).name
    return shlex.join([COMMAND if program in ("__main__.py", "myriad") else program, *sys.argv[1:]])


# -- what people read -------------------------------------------------------------------------------------------------


def _announce(config: dict[str, Any], run_dir: Path) -> None:
    device, why = config["sim_device"], ""
    if config["num_envs"] is None:
        why = " (fit for its cores; num_envs=... sets another)" if device == "cpu" else " (the task's number)"
    num_envs = config["task"]["env"]["numEnvs"]
    if ranks.count() > 1:
        kind = "processes on the CPU" if device == "cpu" else "GPUs"
        device, why = f"each of {ranks.count()} {kind}", f"{why}, {num_envs * ranks.count():,} in all"
    print(f"{config['task_name']}: {num_envs} environments on {device}{why}, seed {config['seed']}")
    print(f"Run folder: {run_dir}", flush=True)


def _print_result(summary: dict[str, Any], run_dir: Path, oige: str) -> None:
    reward = summary["reward_mean"]
    print(
        f"Trained {summary['task']} for {summary['frames']:,} frames in {summary['train_seconds']:.0f} s: "
        f"mean episode reward {'none yet' if reward is None else f'{reward:.1f}'}."
    )
    if (run_dir / "curve.png").exists():  # not before an episode has ended
        print(f"Curve: {run_dir / 'curve.png'}; report: {run_dir / 'report.html'}")
    checkout = f" oige={oige}" if oige else ""
    print(
        f"Play:  {COMMAND} play task={summary['task']}{checkout} checkpoint={run_dir}"
    )  # which has the task's folders


def _own_tasks(config: dict[str, Any]) -> str:
    """Return what a command must say where a task is not one of ours."""
    folders = ",".join(config["task"]["task_path"])
    return f" task.task_path=[{folders}]" if folders else ""


def _print_table(result: dict[str, Any], target: Path) -> None:
    columns, rows = ("mean", "std", "min", "max"), []
    for row, name in (("reward", "reward"), ("length in steps", "episode_length")):
        numbers = [result.get(f"{name}_{column}") for column in columns]
        rows.append((row, *("" if number is None else f"{number:,.2f}" for number in numbers)))
    print_table(f"{result['task']}: {result['episodes']} episodes", ("", *columns), rows)
    for name, value in result.items():
        if isinstance(value, float) and not name.startswith(("reward_", "episode_length_")):
            print(f"{name}: {value:.4g}")
    print(f"Written to {target}" + (f"; film: {result['video']}" if "video" in result else ""))
