# SPDX-License-Identifier: Apache-2.0
"""What a policy's file must know of the simulation, read from it while it runs and kept in the run as task.json."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from omni.myriad.errors import MyriadError
from omni.myriad.files import map_leaves, write_json
from omni.myriad.task.terms import describe_terms

FORMAT = 1
FILE_NAME = "task.json"


def describe_task(env: Any) -> dict[str, Any]:
    """Describe the task of an environment that has not been stepped yet, as plain values that JSON can hold.

    Args:
        env: The `VecEnv`, with its task set.

    Raises:
        MyriadError: If the task's terms do not add up to its observations or actions.
    """
    task, engine = env.task, env.engine
    env_cfg, sim_cfg = task.task_config["env"], task.task_config["sim"]
    observations = describe_terms(f"{task.name} observation", task.observation_terms(), task.num_observations)
    actions = describe_terms(f"{task.name} action", task.action_terms(), task.num_actions)
    return {
        "format": FORMAT,
        "task": task.name,
        "version": task.version,
        "source_sha256": _source_hash(type(task)),
        "settings_sha256": settings_hash(task.task_config),
        "spaces": {
            "observation": describe_space(env.observation_space),
            "action": describe_space(env.action_space),
            "num_actions": task.num_actions,
        },
        "clip_observations": finite_or_none(task.clip_obs),
        "clip_actions": finite_or_none(task.clip_actions),
        "physics_dt": engine.physics_dt,
        "decimation": env_cfg["controlFrequencyInv"],
        "gravity": [float(value) for value in sim_cfg["gravity"]],
        "engine": engine.version,
        "robot": _describe_robot(env, actions),
        "observation_terms": [term for term in observations if "slice" in term],
        "image_terms": [term for term in observations if "slice" not in term],
        "action_terms": actions,
    }


def _describe_robot(env: Any, actions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Read joints, drives and pose of environment 0 from the view of the robot that acts."""
    views = list(env.engine.robots().values())
    if not views:
        return None
    commanded = {name for term in actions for name in term["joint_names"]}
    view = next((view for view in views if commanded <= set(view.dof_names)), None)
    if view is None:
        names = ", ".join(sorted(commanded - {name for view in views for name in view.dof_names}))
        raise MyriadError(f"Task {env.task.name} commands joints that no robot has: {names}.")

    def row(values: Any) -> list[float | None]:
        return [finite_or_none(value) for value in values[0].tolist()]

    stiffness, damping = view.get_gains()
    limits = view.get_dof_limits()[0].tolist()
    positions, orientations = view.get_world_poses()
    velocities = view.get_velocities()
    origin = getattr(env.task, "_env_pos", torch.zeros_like(positions))[0]
    return {
        "name": view.name,
        "joint_names": list(view.dof_names),
        "default_position": row(view.get_joint_positions()),
        "default_velocity": row(view.get_joint_velocities()),
        "stiffness": row(stiffness),
        "damping": row(damping),
        "armature": row(view.get_armatures()),
        "effort_limit": row(view.get_max_efforts()),
        "velocity_limit": row(view.get_joint_max_velocities()),
        "position_limits": [[finite_or_none(value) for value in pair] for pair in limits],
        "root_position": (positions[0] - origin.to(positions.device)).tolist(),
        "root_orientation": row(orientations),
        "root_velocity": row(velocities),
        "body_names": list(view.body_names),
    }


def finite_or_none(value: float) -> float | None:
    """Return a number, or None, JSON's null, where it is infinite or PhysX' way of saying so."""
    return float(value) if math.isfinite(value) and abs(value) < 1e30 else None


def settings_hash(task_config: Mapping[str, Any]) -> str:
    """Return the hash of a task's settings, the number of environments aside, which changes nothing for a robot."""
    settings = {**task_config, "env": {**task_config["env"], "numEnvs": None}, "task_path": None}
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def _source_hash(task_class: type) -> str | None:
    try:
        return hashlib.sha256(Path(inspect.getfile(task_class)).read_bytes()).hexdigest()
    except (OSError, TypeError):
        return None


def describe_space(space: spaces.Space) -> dict[str, Any]:
    """Return a gymnasium space as plain values.

    Raises:
        MyriadError: If it is of a kind that policies are not trained on.
    """
    if isinstance(space, spaces.Box):
        bounds = {key: np.unique(getattr(space, key)) for key in ("low", "high")}
        flat = {key: (bound if len(bound) == 1 else getattr(space, key)).tolist() for key, bound in bounds.items()}
        about = {"kind": "box", "shape": list(space.shape), "dtype": str(space.dtype)}
        return about | map_leaves(finite_or_none, flat)
    if isinstance(space, spaces.Discrete):
        return {"kind": "discrete", "n": int(space.n)}
    if isinstance(space, spaces.Tuple) and all(isinstance(part, spaces.Discrete) for part in space):
        return {"kind": "multi_discrete", "n": [int(part.n) for part in space]}  # type: ignore[attr-defined]
    if isinstance(space, spaces.Dict):
        return {"kind": "dict", "spaces": {key: describe_space(part) for key, part in space.spaces.items()}}
    raise MyriadError(f"A policy on the space {space} cannot be exported: it must be Box, Discrete, Tuple or Dict.")


def rebuild_space(described: Mapping[str, Any]) -> spaces.Space:
    """Return the gymnasium space that `describe_space` described."""
    kind = described["kind"]
    if kind == "box":
        shape, dtype = tuple(described["shape"]), np.dtype(described["dtype"])

        def bound(values: list[Any], infinity: float) -> Any:
            numbers = map_leaves(lambda value: infinity if value is None else value, values)
            return np.broadcast_to(np.array(numbers, dtype), shape)

        return spaces.Box(bound(described["low"], -np.inf), bound(described["high"], np.inf), shape, dtype.type)
    if kind == "discrete":
        return spaces.Discrete(described["n"])
    if kind == "multi_discrete":
        return spaces.Tuple([spaces.Discrete(n) for n in described["n"]])
    return spaces.Dict({key: rebuild_space(part) for key, part in described["spaces"].items()})


def write_description(description: Mapping[str, Any], run_dir: Path) -> None:
    """Write a description into a run's folder."""
    write_json(run_dir / FILE_NAME, description)


def read_description(run_dir: Path) -> dict[str, Any] | None:
    """Return the description in a run's folder, None where there is none.

    Raises:
        MyriadError: If the file is damaged, or of a newer format.
    """
    path = run_dir / FILE_NAME
    if not path.is_file():
        return None
    try:
        description = json.loads(path.read_text())
        if description["format"] > FORMAT:
            raise MyriadError(f"{path} has format {description['format']}, this version reads up to {FORMAT}.")
        for term in description.get("action_terms", ()):
            for key, value in {"cumulative": False, "from_joints": False, "share": 1.0, "switch": False}.items():
                term.setdefault(key, value)  # of which older runs say nothing
    except (ValueError, KeyError, TypeError, AttributeError):
        raise MyriadError(f"{path} is damaged; without it the task is run to describe it again.") from None
    return description
