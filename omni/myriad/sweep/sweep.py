# SPDX-License-Identifier: Apache-2.0
"""The verb sweep: from its command line to a folder of runs and what came of them."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omni.myriad.app.config import load_config, with_file
from omni.myriad.app.options import options, split, values
from omni.myriad.app.run_folder import locked
from omni.myriad.app.schema import Sweep
from omni.myriad.errors import MyriadError
from omni.myriad.learn.base import learner_name
from omni.myriad.places import COMMAND
from omni.myriad.sweep.plan import FILE_NAME, Plan
from omni.myriad.sweep.report import report
from omni.myriad.sweep.space import PREFIX, Range, Space, read_space

_RATE = "train.params.config.learning_rate"
_OF_THE_NETWORK = "train.params.network."


def run(arguments: Sequence[str]) -> None:
    """Do what `./myriad sweep` was asked for.

    Raises:
        MyriadError: On an invalid argument, before anything starts; if Ray does not work; if no training has a score.
        Interrupted: On a signal, after every training was saved.
    """
    ours, settings = split(Sweep, with_file(arguments))
    given = values(Sweep, ours)
    if given.get("resume"):
        _resume(Path(given["resume"]).expanduser().absolute(), [text for text in arguments if text[:7] != "resume="])
    else:
        _begin(given, settings, shlex.join([COMMAND, "sweep", *arguments]))


def _begin(given: dict[str, Any], settings: Sequence[str], command: str) -> None:
    swept = [text for text in settings if text.startswith(PREFIX)]
    common = [text for text in settings if text not in swept and not text.startswith("settings=")]
    for text in swept:
        if "=" not in text:
            raise MyriadError(f"{text} is not understood: give what to try, such as {PREFIX}gamma=[0.97,0.99].")
    config = load_config(common, "sweep")
    space = read_space(dict(text.removeprefix(PREFIX).split("=", 1) for text in swept), common)
    chosen = {name: one.default for name, one in options(Sweep).items()} | given
    chosen["seeds"] = list(chosen["seeds"]) or [config["seed"]]
    _check(chosen, space, learner_name(config))
    if not space:
        chosen["search"] = "grid"  # of one setting, with several seeds
    plan = Plan(
        config["task_name"],
        [text for text in common if text.partition("=")[0] not in ("experiment", "train_dir", "seed")],
        space,
        chosen,
        *_length(config),
        os.getcwd(),
        command,
    )
    with _claimed(config) as folder:
        if config["wandb_activate"] and not config["wandb_group"]:
            plan.settings.append(f"wandb_group={folder.name}")
        plan.write(folder)
        print(f"{plan.task}: {_says(plan)}\nSweep folder: {folder}", flush=True)
        _try(plan, folder, resume=False)


def _resume(folder: Path, others: Sequence[str]) -> None:
    if others:
        raise MyriadError(f"{others[0]} is invalid with resume=: a sweep goes on as it began.")
    plan = Plan.read(folder)
    with locked(folder):
        print(f"{plan.task}: {_says(plan)}, resumed\nSweep folder: {folder}", flush=True)
        _try(plan, folder, resume=True)


def _try(plan: Plan, folder: Path, resume: bool) -> None:
    from omni.myriad.sweep import screen, tuner

    tuner.run(plan, folder, screen.Screen(plan), resume)
    report(plan, folder)


def _check(chosen: dict[str, Any], space: Space, learner: str) -> None:
    """Refuse what cannot be together, though each of it may be."""
    search = chosen["search"]
    ranges = [key for key, one in space.items() if isinstance(one, Range)]
    if not space and (search in ("optuna", "pbt") or len(chosen["seeds"]) == 1):
        raise MyriadError(f"Nothing to try: give settings such as {PREFIX}learning_rate=loguniform(1e-4,1e-2).")
    if search == "grid" and ranges:
        raise MyriadError(f"{PREFIX}{ranges[0]} is a range, and search=grid takes lists: give [a,b,c].")
    if "seed" in space and len(chosen["seeds"]) > 1:
        raise MyriadError(f"{PREFIX}seed and seeds= are two words for one thing: give one of them.")
    if chosen["asha"] and search == "pbt":
        raise MyriadError("asha=True is invalid with search=pbt, whose population stays as large as it is.")
    if search == "pbt":
        if chosen["trials"] < 2:
            raise MyriadError(f"trials={chosen['trials']} is invalid: a population has two members at least.")
        if len(chosen["seeds"]) > 1:
            raise MyriadError("seeds= is invalid with search=pbt: its members are one population, from one seed.")
        if fixed := [key for key in space if key.startswith(_OF_THE_NETWORK) or key == "seed"]:
            raise MyriadError(f"{PREFIX}{fixed[0]} cannot change while training, as it does with search=pbt.")
        if learner != "rl_games" and _RATE in space:
            raise MyriadError(
                f"{PREFIX}{_RATE} with search=pbt needs learner=rl_games: {learner} goes on with its own."
            )


def _length(config: dict[str, Any]) -> tuple[int, int, int]:
    """Return the epochs and the steps that end a training, 0 where they do not, and the steps of an epoch."""
    settings = config["train"]["params"]["config"]
    epochs, frames = config["max_iterations"] or settings.get("max_epochs") or 0, settings.get("max_frames") or 0
    if not (epochs or frames):
        raise MyriadError("max_iterations is missing: trainings that never end cannot be compared.")
    return epochs, frames, config["task"]["env"]["numEnvs"] * settings["horizon_length"]


def _says(plan: Plan) -> str:
    many = math.prod(len(one) for one in plan.space.values() if isinstance(one, list))
    count = many if plan.options["search"] == "grid" else plan.options["trials"]
    seeds = len(plan.options["seeds"])
    times = f" with {seeds} seeds each" if seeds > 1 else ""
    length = f"{plan.epochs:,} epochs" if plan.epochs else f"{plan.frames:,} frames"
    return f"{count} settings{times}, {plan.options['search']}, {length} each"


@contextlib.contextmanager
def _claimed(config: dict[str, Any]) -> Iterator[Path]:
    """Yield a new folder for the sweep, and keep others out of it."""
    name = config["experiment"] or f"{config['task_name']}_sweep_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    folder = Path(config["train_dir"]).expanduser().absolute() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MyriadError(f"{folder} cannot be created: {error.strerror}.") from None
    with locked(folder):
        if (folder / FILE_NAME).exists() or (folder / "run.json").exists():
            raise MyriadError(
                f"{folder} already holds a sweep or a run: choose another experiment=NAME, or resume a sweep with "
                f"resume={folder}."
            )
        yield folder
