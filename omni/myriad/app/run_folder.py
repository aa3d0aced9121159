# SPDX-License-Identifier: Apache-2.0
"""Where runs are: a new one's folder, an old one's checkpoints."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from omni.myriad.errors import MyriadError
from omni.myriad.files import refuse_bomb, remove_unfinished
from omni.myriad.places import COMMAND, data_folder

logger = logging.getLogger(__name__)

PRETRAINED = "pretrained"
"""What `checkpoint` says for the policy that ships in `policies/`."""


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
    refuse_bomb(found)
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


def pretrained(task: str, name: str) -> Path:
    """Return a file of the policy that ships for a task.

    Raises:
        MyriadError: If there is none; says for which there are.
    """
    path = data_folder("policies") / task / name
    if not path.is_file():
        known = sorted(file.parent.name for file in data_folder("policies").glob(f"*/{name}"))
        raise MyriadError(f"No policy of {task} ships; there are some for: {', '.join(known) or 'no task'}.")
    return path


def trained_checkpoint(config: dict[str, Any]) -> Path:
    """Return the checkpoint that `checkpoint` means, "pretrained" that which ships; else the best of the last run.

    Raises:
        MyriadError: If there is none.
    """
    train_dir = config["train_dir"]
    if config["checkpoint"] == PRETRAINED:
        return pretrained(config["task_name"], "checkpoint.pth")
    return find_checkpoint(config["checkpoint"] or last_run(config["task_name"], train_dir), "best", train_dir)


@contextlib.contextmanager
def claimed(config: dict[str, Any]) -> Iterator[Path]:
    """Yield the folder of a new run, or that of the run that `checkpoint` resumes, and keep all others out meanwhile.

    Args:
        config: The resolved configuration: `experiment` names the folder, else task and time do.

    Raises:
        MyriadError: If the folder holds another run, is in use by another process or cannot be created.
    """
    base = Path(config["train_dir"])
    checkpoint = Path(config["checkpoint"] or "/")
    try:
        base.mkdir(parents=True, exist_ok=True)
        if config["experiment"]:
            run_dir = base / str(config["experiment"])
            run_dir.mkdir(exist_ok=True)
        else:
            run_dir = _dated(base, config["task_name"])
    except OSError as error:
        raise MyriadError(f"{error.filename or base} cannot be created: {error.strerror}.") from None
    with locked(run_dir):
        checkpoints = run_dir / "checkpoints"
        if any(checkpoints.glob("*.pth")) and checkpoint.parent != checkpoints.absolute():
            # One that ended before its first checkpoint may begin again.
            raise MyriadError(
                f"{run_dir} already holds a run: choose another experiment=NAME, or resume with checkpoint={run_dir}."
            )
        for entry in run_dir.iterdir():
            if entry.is_symlink() and entry.is_dir():
                raise MyriadError(f"{entry} is a link to another folder, where a run would write: remove it.")
        remove_unfinished(run_dir)
        remove_unfinished(checkpoints)
        remove_unfinished(run_dir / "films")
        yield run_dir


def _dated(base: Path, task: str) -> Path:
    """Create a folder named after task and time, with a number behind it where another run has that name."""
    name = f"{task}_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    for folder in itertools.chain([base / name], (base / f"{name}_{number}" for number in itertools.count(2))):
        try:
            folder.mkdir()
            break
        except FileExistsError:
            continue
    return folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; the system lets go of it for a process that ends in whatever way.

    Raises:
        MyriadError: Where another process is in; names it.
    """
    try:
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise MyriadError(f"{folder} cannot be written: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20).decode(errors="replace") or "that is just starting"
            raise MyriadError(f"{folder} is in use by process {owner}: choose another experiment=NAME.") from None
        except OSError as error:  # a network's file system without locks
            logger.warning("%s cannot be locked (%s): start one run in it at a time", folder, error.strerror)
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        yield
        os.ftruncate(lock, 0)
    finally:
        os.close(lock)
