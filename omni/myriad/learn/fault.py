# SPDX-License-Identifier: Apache-2.0
"""The last steps of an environment in which something stopped being finite: written when a training ends of it."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omni.myriad.engine.base import grid_positions
from omni.myriad.errors import MyriadError
from omni.myriad.files import write_bytes

FOLDER = "faults"  # in the run's folder

_ARRAYS = ("actions", "observations", "rewards", "dones")


@dataclass
class Fault:
    """What `play fault=FILE` replays.

    Attributes:
        about: "task", "settings_sha256" of its settings, "env_id", "epoch", "step" at which it was found, and "what".
        actions: From the first step of the rollout to the last before `step`, (steps, num_actions).
        observations: Before each of them, (steps, ...); of dictionaries, all vectors side by side.
        rewards: After each of them, as learned from, (steps,).
        dones: Whether an episode had ended before each of them, (steps,).
        motion: By "view/quantity" the state before the first of them, with positions from the environment's origin.
    """

    about: dict[str, Any]
    actions: np.ndarray
    observations: np.ndarray
    rewards: np.ndarray
    dones: np.ndarray
    motion: dict[str, np.ndarray]

    @property
    def first_known(self) -> int | None:
        """Return the step from which it can be replayed, None where an episode began later, elsewhere."""
        return None if self.dones[1:].any() else 0

    def save(self, folder: Path) -> Path:
        """Write it into a run's folder, whole or not at all, and return its path."""
        path = folder / FOLDER / f"epoch_{self.about['epoch']}_environment_{self.about['env_id']}.npz"
        data = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {f"motion/{name}": value for name, value in self.motion.items()}
        np.savez_compressed(data, about=json.dumps(self.about), **arrays)
        write_bytes(path, data.getvalue())
        return path


def load_fault(path: Path) -> Fault:
    """Read what `Fault.save` wrote.

    Raises:
        MyriadError: If it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            motion = {name.removeprefix("motion/"): file[name] for name in file.files if name.startswith("motion/")}
            about = json.loads(str(file["about"]))
            actions, observations, rewards, dones = (file[name] for name in _ARRAYS)
            return Fault({**about, "task": str(about["task"])}, actions, observations, rewards, dones, motion)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        raise MyriadError(f"{path} is no fault that a training has written, or is damaged.") from None


def motion_of(env: Any, motion: dict[str, dict[str, torch.Tensor]], env_id: int) -> dict[str, np.ndarray]:
    """Return what an environment's `Engine.get_motion` was by "view/quantity", positions from its own origin."""
    rows = {f"{view}/{name}": value[env_id].cpu() for view, of in motion.items() for name, value in of.items()}
    if not rows:
        return {}
    origin = torch.tensor(_origins(env)[env_id])
    return {name: (row - origin if name.endswith("/positions") else row).numpy() for name, row in rows.items()}


def put_motion(env: Any, motion: dict[str, np.ndarray]) -> None:
    """Bring the first environment into a state of `motion_of`.

    Raises:
        MyriadError: If it is not finite, or of another robot.
    """
    rows: dict[str, dict[str, torch.Tensor]] = {}
    origin = torch.tensor(_origins(env)[0])
    now = env.engine.get_motion()
    for name, value in motion.items():
        view, _, quantity = name.rpartition("/")
        row = torch.as_tensor(value, dtype=torch.float32).unsqueeze(0)
        if view not in now or quantity not in now[view] or row.shape[1:] != now[view][quantity].shape[1:]:
            raise MyriadError(f"the fault's {name} does not fit the task: its robot was another.")
        if not bool(row.isfinite().all()):
            raise MyriadError(f"the fault's {name} was not finite when its record began: nothing can be replayed.")
        rows.setdefault(view, {})[quantity] = row + origin if quantity == "positions" else row
    env.engine.set_state(rows, torch.zeros(1, dtype=torch.long, device=env.device))


def _origins(env: Any) -> list[tuple[float, float, float]]:
    return grid_positions(env.num_envs, env.sim_config.task_config["env"]["envSpacing"])
