# SPDX-License-Identifier: Apache-2.0
"""Fill a task's folder of `policies/`: a training for each seed, its play, and the file, film and curve of the median.

Each training and play is a process of its own, as people start them: an engine keeps the device it began with.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omni.myriad.app.options import options
from omni.myriad.app.run_folder import find_checkpoint
from omni.myriad.app.schema import PlayVerb, Publish
from omni.myriad.errors import MyriadError
from omni.myriad.files import write_bytes, write_json
from omni.myriad.learn import checkpoint
from omni.myriad.places import COMMAND, ROOT, child_environment, data_folder
from omni.myriad.provenance import git_revision, versions
from omni.myriad.publish import judging, record

MOST_BYTES = 2_000_000  # of each file in a repository


def publish(config: dict[str, Any], asked: Publish, settings: Sequence[str]) -> None:
    """Do what `./myriad publish` was asked for.

    Args:
        config: The resolved configuration of the settings.
        asked: What to publish.
        settings: Settings of the trainings, such as task=Ant.

    Raises:
        MyriadError: If a training, play or export failed, or a file became too large; then no file is replaced.
    """
    if asked.judge:
        judging.judge_all(asked.judge, asked.judge_episodes)
        return
    task = config["task_name"]
    folder = Path(asked.output).expanduser() if asked.output else data_folder("policies") / task
    run_dirs = [_run_dir(name, config) for name in asked.runs] or [
        _train(config, seed, settings) for seed in asked.seeds
    ]
    goal = asked.goal or record.goal_of(task)
    seeds = [_play(config, run_dir, asked.episodes, settings, goal) for run_dir in run_dirs]
    shipped = record.median_of(seeds)
    made = _export(config, run_dirs[shipped], settings)
    curves = {seed["seed"]: record.curve(run_dir) for seed, run_dir in zip(seeds, run_dirs, strict=True)}
    record.draw_seeds(made / "curve.png", curves, f"{task}, mean episode reward of {len(seeds)} seeds", goal)
    about = {
        "task": task,
        "policy": f"seed {seeds[shipped]['seed']}, whose played reward is the median",
        "goal": goal,
        "median": record.medians(seeds),
        "seeds": seeds,
        "command": record.command_of(run_dirs[0], seeds, asked.episodes),
        "machine": record.machine_of(run_dirs[0]),
        "versions": versions(),
        "git": git_revision(),
        "date": time.strftime("%Y-%m-%d"),
    }
    write_json(made / "summary.json", about)
    large = [f"{file.name} has {file.stat().st_size:,} bytes" for file in made.iterdir() if _is_large(file)]
    if large:
        raise MyriadError(f"{made}: {', '.join(large)}, and at most {MOST_BYTES:,} are published.")
    for name in record.FILES:
        write_bytes(folder / name, (made / name).read_bytes())
    shutil.rmtree(made)
    print(f"Published {task} in {folder}: {record.in_a_line(about)}")
    if folder.parent == ROOT / "policies":
        print(f"Judge it: {COMMAND} publish judge={task}")


def _is_large(file: Path) -> bool:
    return file.name in record.FILES and file.stat().st_size > MOST_BYTES


def _run_dir(name: str, config: dict[str, Any]) -> Path:
    """Return the folder of a finished run of the task, which a name means."""
    run_dir = find_checkpoint(name, "best", config["train_dir"]).parent.parent
    task = json.loads((run_dir / "summary.json").read_text())["task"] if (run_dir / "summary.json").is_file() else None
    if task != config["task_name"]:
        raise MyriadError(
            f"runs={name} is no finished run of {config['task_name']}: give the names of some of its runs."
        )
    return run_dir


def _train(config: dict[str, Any], seed: int, settings: Sequence[str]) -> Path:
    name = f"{config['task_name']}_{time.strftime('%Y-%m-%d_%H-%M-%S')}_seed{seed}"
    call("train", *settings, f"seed={seed}", f"experiment={name}")
    return Path(config["train_dir"]) / name


def _play(
    config: dict[str, Any], run_dir: Path, episodes: int, settings: Sequence[str], goal: float | None
) -> dict[str, Any]:
    """Play a run's policy, and return what the run and its play came to."""
    num_envs = min(episodes, config["task"]["env"]["numEnvs"])
    call("play", *_of_play(settings), f"checkpoint={run_dir}", f"episodes={episodes}", f"num_envs={num_envs}")
    return record.of_run(run_dir, goal)


def _export(config: dict[str, Any], run_dir: Path, settings: Sequence[str]) -> Path:
    """Write checkpoint, policy and film of a run into a folder of its own, and return that."""
    task, made = config["task_name"], run_dir / "published"
    made.mkdir(exist_ok=True)
    path = made / "checkpoint.pth"
    small(find_checkpoint(str(run_dir), "best"), path)
    own = [text for text in settings if text.startswith(("task.task_path=", "sim_device=", "engine=", "oige="))]
    call("export", f"task={task}", *own, f"checkpoint={path}", f"output={made / 'policy.onnx'}")
    film = ("episodes=1", "num_envs=1", "video=True")
    call("play", *_of_play(settings), f"checkpoint={path}", *film)
    path.with_suffix(".play.mp4").replace(made / "film.mp4")
    return made


def small(best: Path, path: Path) -> dict[str, Any]:
    """Write a checkpoint for playing and return it: without environments, and without its optimiser if it is large."""
    state = checkpoint.load(best)
    state.pop("rollout", None)
    checkpoint.save(path, state)
    if path.stat().st_size > MOST_BYTES:
        state.pop("optimizer", None)
        checkpoint.save(path, state)
    return state


def _of_play(settings: Sequence[str]) -> list[str]:
    """Return those settings of a training that a play takes as well."""
    return [text for text in settings if text.lstrip("+~").partition("=")[0].partition(".")[0] in options(PlayVerb)]


def call(verb: str, *arguments: str) -> None:
    """Run a verb in a process of its own, whose output is seen.

    Raises:
        MyriadError: If it fails.
    """
    print(f"$ {shlex.join([COMMAND, verb, *arguments])}", flush=True)
    done = subprocess.run([sys.executable, "-m", "omni.myriad", verb, *arguments], env=child_environment())
    if done.returncode:
        raise MyriadError(f"{COMMAND} {verb} ended with exit code {done.returncode}: nothing was published.")
