# SPDX-License-Identifier: Apache-2.0
"""Where runs are: a new one's folder, an old one's checkpoints."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from omni.myriad.errors import MyriadError
from omni.myriad.places import COMMAND


def find_checkpoint(name: str, kind: str, train_dir: str = "runs") -> Path:
    """Return the checkpoint file that a name means.

    Args:
        name: A file, a run's folder, or the name of a folder below `train_dir`.
        kind: Which of a run's checkpoints to take, "best" or "last"; if it is missing, the other.
        train_dir: Folder that holds the runs.

    Raises:
        MyriadError: If there is none.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path.absolute()
    for folder in (path, Path(train_dir) / name):
        candidates = [folder / "checkpoints" / f"{k}.pth" for k in (kind, "last", "best")]
        found = next((file for file in candidates if file.is_file()), None)
        if found is not None:
            return found.absolute()
        if folder.is_dir():
            raise MyriadError(f"{folder} holds no checkpoint: expected {candidates[0]}.")
    raise MyriadError(f"checkpoint={name} does not exist: give a .pth file or the name of a run below {train_dir}/.")


def task_folders(name: str, train_dir: str) -> list[str]:
    """Return the folders of a user's own tasks that a run was trained with, if a name means a run's folder.

    A checkpoint's file alone names none: it may come from elsewhere, and what is in these folders is run.
    """
    files = [folder / "config.yaml" for folder in (Path(name).expanduser(), Path(train_dir) / name)]
    found = next((file for file in files if file.is_file()), None)
    if not name or found is None:
        return []
    try:
        folders = OmegaConf.select(OmegaConf.load(found), "task.task_path")
        return [str(folder) for folder in folders or []]
    except (OmegaConfBaseException, YAMLError, OSError) as error:
        raise MyriadError(f"{found} cannot be read: {str(error).splitlines()[0]}") from None


def last_run(task: str, train_dir: str) -> str:
    """Return the folder of the task's last run that has a checkpoint.

    Raises:
        MyriadError: If there is none.
    """
    runs = [
        (file.stat().st_mtime, str(file.parent))
        for file in Path(train_dir).glob("*/run.json")
        if json.loads(file.read_text()).get("task") == task and list(file.parent.glob("checkpoints/*.pth"))
    ]
    if not runs:
        raise MyriadError(
            f"No run of {task} below {train_dir}/: train one ({COMMAND} train task={task}) or give checkpoint=FILE."
        )
    return max(runs)[1]


def trained_checkpoint(config: dict[str, Any]) -> Path:
    """Return the checkpoint that `checkpoint` means, or the best one of the task's last run.

    Raises:
        MyriadError: If there is none.
    """
    train_dir = config["train_dir"]
    return find_checkpoint(config["checkpoint"] or last_run(config["task_name"], train_dir), "best", train_dir)


def new_run_dir(config: dict[str, Any]) -> Path:
    """Create the folder of a new run, or return that of the run that `checkpoint` resumes.

    Args:
        config: The resolved configuration: `experiment` names the folder, else task and time do.

    Raises:
        MyriadError: If the folder holds another run or cannot be created.
    """
    base = Path(config["train_dir"])
    if config["experiment"]:
        run_dir = base / str(config["experiment"])
        checkpoints = run_dir / "checkpoints"
        goes_on = Path(config["checkpoint"] or "/").parent == checkpoints.absolute()
        if any(checkpoints.glob("*.pth")) and not goes_on:  # one that ended before its first checkpoint may begin again
            raise MyriadError(
                f"{run_dir} already holds a run: choose another experiment=NAME, or resume with checkpoint={run_dir}."
            )
    else:
        name = f"{config['task_name']}_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
        names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        run_dir = next(base / name for name in names if not (base / name).exists())
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MyriadError(f"{run_dir} cannot be created: {error.strerror}.") from None
    return run_dir
