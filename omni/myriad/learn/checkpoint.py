# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: written whole or not at all, and read without executing anything from the file.

A checkpoint has `model`, what else its learner wants, and

    myriad    where it comes from: task, sizes, seed, configuration, versions (see `describe`)
    rollout   the environments as they stood, and every random state; absent in best.pth
"""

from __future__ import annotations

import io
import os
import pickle
import random
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from omni.myriad.errors import MyriadError
from omni.myriad.files import map_leaves, write_bytes
from omni.myriad.learn.base import learner_name
from omni.myriad.provenance import git_revision, versions

FORMAT = 1
BEST_SECONDS = 5.0  # best.pth reaches the disk at most this often, and at the end
LAST_SECONDS = 60.0  # last.pth is rewritten this often, against crashes
_ARCHIVE = b"PK\x03\x04"  # how files begin that torch writes


def describe(cfg: Mapping[str, Any], env: Any) -> dict[str, Any]:
    """Return the metadata of a checkpoint: what was trained, from what, by which code.

    Args:
        cfg: Resolved configuration, a plain nested dict with at least `task_name` and `seed`.
        env: Vectorised environment trained in.
    """
    return {
        "format": FORMAT,
        "task": str(cfg["task_name"]),
        **_sizes(env),
        "num_envs": env.num_envs,
        "seed": cfg["seed"],
        "config": plain(cfg),
        "versions": versions(),
        "git": git_revision(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _sizes(env: Any) -> dict[str, int]:
    return {"num_obs": spaces.flatdim(env.observation_space), "num_actions": env.num_actions}


def plain(value: Any) -> Any:
    """Return `value` as tensors on the CPU and plain Python types, all that a safe load accepts.

    Raises:
        TypeError: Where it holds anything else; names the type.
    """
    return map_leaves(_plain, value)


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        # A view would drag its whole storage into the file.
        return value.clone() if value.untyped_storage().nbytes() > value.nbytes else value
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"a checkpoint holds tensors and plain values, not {type(value).__name__}")


def save(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write `state` to `path` so that the file is always either the old one or the whole new one.

    Raises:
        MyriadError: If it cannot be written (full disk, no permission); the old file is left as it was.
    """
    data = io.BytesIO()
    torch.save(plain(state), data)
    # No view of it: left in an error's traceback, such a view crashes the garbage collector of Python 3.12.
    write_bytes(path, data.getvalue())


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the state that `save` wrote, its tensors on the CPU, executing nothing from the file.

    Raises:
        MyriadError: Where the file is missing, damaged, or not a checkpoint of ours.
    """
    path = Path(path)
    if path.is_dir():
        inside = sorted(file.name for file in path.rglob("*.pth"))
        hint = f"; it holds {', '.join(inside[:5])}" if inside else ""
        raise MyriadError(f"checkpoint {path} is a folder, give a .pth file{hint}")
    if not path.exists():
        raise MyriadError(f"checkpoint {path} does not exist")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MyriadError(f"could not read checkpoint {path}: {error.strerror or error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if data.startswith(_ARCHIVE) and (member := zipfile.ZipFile(io.BytesIO(data)).testzip()):
                raise zipfile.BadZipFile(member)  # torch writes checksums, and does not look at them
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if data.startswith(_ARCHIVE):
            raise MyriadError(
                f"checkpoint {path} holds more than tensors and plain values, which could run code: "
                "it was not written by Myriad, and is not loaded"
            ) from error
        raise MyriadError(f"{path} is not a checkpoint, or a damaged one") from error
    except Exception as error:  # whatever a damaged file makes the reader trip over
        raise MyriadError(f"checkpoint {path} is damaged or truncated, and cannot be read") from error
    about = state.get("myriad") if isinstance(state, dict) else None
    if not isinstance(about, dict) or "model" not in state:
        raise MyriadError(f"{path} is not a Myriad checkpoint")
    if about.get("format") != FORMAT:
        raise MyriadError(f"checkpoint {path} has format {about.get('format')}, this version reads format {FORMAT}")
    return state


def check_matches(state: Mapping[str, Any], cfg: Mapping[str, Any], env: Any, path: str | os.PathLike[str]) -> None:
    """Raise unless the checkpoint was trained by this learner, for this task and its sizes.

    Args:
        state: What `load` returned.
        cfg: Resolved configuration of who is about to use it.
        env: Vectorised environment about to use it.
        path: The file's name, for the message.

    Raises:
        MyriadError: Naming what differs.
    """
    about = state["myriad"]
    if about["task"] != cfg["task_name"]:
        raise MyriadError(f"checkpoint {path} was trained for task {about['task']}, not {cfg['task_name']}")
    for name, want in _sizes(env).items():
        if about[name] != want:
            what = {"num_obs": "observations", "num_actions": "actions"}[name]
            raise MyriadError(f"checkpoint {path} was trained with {about[name]} {what}, the task now has {want}")
    trainer = learner_name(about["config"])
    if trainer != learner_name(cfg):
        raise MyriadError(f"checkpoint {path} was trained by {trainer}: give train.learner={trainer}.")


def kept(folder: Path) -> Path | None:
    """Return the best checkpoint in a run's folder of them, or the last, None where there is neither."""
    return next((path for name in ("best", "last") if (path := folder / f"{name}.pth").exists()), None)


class Keeper:
    """A run's checkpoints and when they are written: best.pth, last.pth and epoch_<k>.pth.

    Args:
        folder: Folder for them.
        every: Epochs from one epoch_<k>.pth to the next; 0 for none.
        learner_state: Returns the whole learner.
        rollout_state: Returns the environments as they stand, and every random state.
    """

    def __init__(
        self,
        folder: Path,
        every: int,
        learner_state: Callable[[], dict[str, Any]],
        rollout_state: Callable[[], dict[str, Any]],
    ) -> None:
        self.folder, self._every = folder, every
        self._learner_state, self._rollout_state = learner_state, rollout_state
        self._best: dict[str, Any] | None = None  # the best learner, kept on the device until it is worth a write
        self._best_written, self._last_written = 0.0, time.monotonic()

    def keep_best(self) -> None:
        """Remember the learner as it is now as the best; it is written when due."""
        self._best = map_leaves(
            lambda leaf: leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf, self._learner_state()
        )

    def save_what_is_due(self, epoch: int) -> None:
        """Write the checkpoints whose time has come."""
        now = time.monotonic()
        if self._every > 0 and epoch % self._every == 0:
            self.save(f"epoch_{epoch}")
            self.save("last")
        elif now - self._last_written > LAST_SECONDS:
            self.save("last")
        if now - self._best_written > BEST_SECONDS:
            self.write_best()

    def save(self, name: str) -> None:
        """Write a checkpoint that training can resume from."""
        save(self.folder / f"{name}.pth", self._learner_state() | {"rollout": self._rollout_state()})
        if name == "last":
            self._last_written = time.monotonic()

    def finish(self) -> None:
        """Write last.pth, and see to it that there is a best."""
        self.save("last")
        if self._best is None and not (self.folder / "best.pth").exists():
            self.keep_best()  # the run ended before save_best_after, or before an episode did

    def write_best(self) -> None:
        """Write best.pth if there is a better learner than the one written before."""
        if self._best is not None:
            save(self.folder / "best.pth", self._best)
            self._best, self._best_written = None, time.monotonic()

    def take_best(self, resumed: Path, state: Mapping[str, Any], score: str) -> None:
        """Copy the best checkpoint beside a resumed one, if it is the one that this run has to beat.

        Args:
            resumed: The file that training resumes from.
            state: What it holds.
            score: Under which key the best mean reward stands in it.
        """
        best = resumed.absolute().with_name("best.pth")
        if best.parent != self.folder and best.exists() and load(best).get(score) == state[score]:
            write_bytes(self.folder / "best.pth", best.read_bytes())

    def last_good(self) -> str:
        """Say which is the newest checkpoint written, or about to be."""
        written = [path for name in ("last", "best") if (path := self.folder / f"{name}.pth").exists()]
        good = written[0] if written else self.folder / "best.pth" if self._best is not None else None
        return f"the last good checkpoint is {good}" if good else "no checkpoint had been written yet"


def get_random_state() -> dict[str, Any]:
    """Return the states of every global random generator: torch, each CUDA device, numpy, Python."""
    numpy_state: Any = np.random.get_state(legacy=True)
    name, keys, position, has_gauss, cached = numpy_state
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "python": random.getstate(),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put back what `get_random_state` returned; CUDA only on a machine with as many devices."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
