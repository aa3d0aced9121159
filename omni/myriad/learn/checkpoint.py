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
import warnings
import zipfile
from collections.abc import Mapping
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
    write_bytes(path, data.getbuffer())


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
