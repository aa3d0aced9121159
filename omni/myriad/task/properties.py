# SPDX-License-Identifier: Apache-2.0
"""What domain randomization can change of robots, bodies and the world, and how each is read and written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from omni.myriad.maths import get_euler_xyz, quat_from_euler_xyz

_MATERIAL = "SHAPE_FRICTION_AND_RESTITUTION"
_TENDON = "FIXED_TENDON_"
Part = int | tuple[int, ...] | None

ATTRIBUTES: dict[str, dict[str, tuple[str, Part]]] = {
    "RIGID_BODY": {
        "mass": ("MASS", None),
        "inertia": ("INERTIA", None),
        "material_properties": (_MATERIAL, None),
        "contact_offset": ("CONTACT_OFFSET", None),
        "rest_offset": ("REST_OFFSET", None),
    },
    "ARTICULATION": {
        "stiffness": ("DOF_STIFFNESS", None),
        "damping": ("DOF_DAMPING", None),
        "lower_dof_limits": ("DOF_LIMIT", 0),
        "upper_dof_limits": ("DOF_LIMIT", 1),
        "max_efforts": ("DOF_MAX_FORCE", None),
        "joint_armatures": ("DOF_ARMATURE", None),
        "joint_friction": ("DOF_FRICTION_PROPERTIES", (0, 1)),  # at rest and in motion alike
        "joint_max_velocities": ("DOF_MAX_VELOCITY", None),
        "body_masses": ("BODY_MASS", None),
        "body_inertias": ("BODY_INERTIA", None),
        "material_properties": (_MATERIAL, None),
        "contact_offset": ("CONTACT_OFFSET", None),
        "rest_offset": ("REST_OFFSET", None),
        "tendon_stiffnesses": (_TENDON + "STIFFNESS", None),
        "tendon_dampings": (_TENDON + "DAMPING", None),
        "tendon_limit_stiffnesses": (_TENDON + "LIMIT_STIFFNESS", None),
        "tendon_lower_limits": (_TENDON + "LIMIT", 0),
        "tendon_upper_limits": (_TENDON + "LIMIT", 1),
        "tendon_rest_lengths": (_TENDON + "REST_LENGTH", None),
        "tendon_offsets": (_TENDON + "OFFSET", None),
    },
    "SIMULATION": {},
}
"""By kind of view and name of the attribute: PhysX's tensor, and the part of its last dimension."""

_MOTION = ("position", "orientation", "linear_velocity", "angular_velocity", "velocity")
MOVING = {
    "RIGID_BODY": (*_MOTION, "force"),
    "ARTICULATION": (*_MOTION, "joint_positions", "joint_velocities", "joint_efforts"),
    "SIMULATION": (),
}
"""What changes as time goes on: what is drawn goes onto what it is then, after the task has reset and acted."""

GRAVITY, SCALE = "gravity", "scale"
NAMES: dict[str, tuple[str, ...]] = {kind: (*ATTRIBUTES[kind], *MOVING[kind]) for kind in ATTRIBUTES}
NAMES["SIMULATION"] = (GRAVITY,)
"""What there is, by kind."""

TOGETHER = {
    "RIGID_BODY": {"density": ("mass", "inertia")},
    "ARTICULATION": {
        "density": ("body_masses", "body_inertias"),
        "motor_strength": ("stiffness", "damping", "max_efforts"),
    },
    "SIMULATION": {},
}
"""What is scaled by the same samples: a denser body, or a motor whose drive does more, or less, for what it is told."""

MATRICES = ("inertia", "body_inertias")
"""What has nine numbers for each body, of which the three of the diagonal are changed, or all scaled by one."""

_GAINS = ("stiffness", "damping")
"""What motors of kind pd have for themselves."""

ONTO = {"payload": "body_masses"}
"""What is added to an attribute, after that was drawn."""


def read(engine: Any, view: Any, kind: str, attribute: str, rows: Tensor | None = None) -> Tensor:
    """Return an attribute, of rows or all.

    Positions are relative to the environments' origins, orientations Euler angles about x, y and z. A force lasts one
    step of physics: 0.

    Args:
        engine: The engine.
        view: The view; the engine itself for what is the world's.
        kind: "RIGID_BODY", "ARTICULATION" or "SIMULATION".
        attribute: A name in `NAMES[kind]`.
        rows: Which, (M,) int64.
    """
    if attribute in _READ:
        return _READ[attribute](engine, view, rows)
    tensor, part = ATTRIBUTES[kind][attribute]
    values = engine.read_property(view, f"{kind}_{tensor}", rows)
    if attribute in _GAINS and (motors := getattr(view, "motors", None)) is not None:
        gains = motors.gains[attribute]
        values[:, motors.dofs] = gains if rows is None else gains[rows.to(gains.device)]
    return values if part is None else values[..., part[0] if isinstance(part, tuple) else part]


def write(engine: Any, view: Any, kind: str, attribute: str, values: Tensor, rows: Tensor) -> None:
    """Write what was drawn for an attribute; see `read`."""
    if attribute in _WRITE:
        _WRITE[attribute](engine, view, values.to(engine.device), rows.to(engine.device))
        return
    tensor, part = ATTRIBUTES[kind][attribute]
    if attribute in _GAINS and (motors := getattr(view, "motors", None)) is not None:
        values = values.to(engine.device, copy=True)
        motors.gains[attribute][rows.to(engine.device)] = values[:, motors.dofs]
        values[:, motors.dofs] = 0.0  # of drives, which do nothing there
    if part is not None:
        whole = engine.read_property(view, f"{kind}_{tensor}", rows)
        whole[..., part] = values.to(whole.device).unsqueeze(-1) if isinstance(part, tuple) else values.to(whole.device)
        values = whole
    engine.write_property(view, f"{kind}_{tensor}", attribute, values, rows)


def combine(operation: str, start: Tensor, drawn: Tensor) -> Tensor:
    """Return what a sample makes of a value: additive, scaling or direct."""
    if operation == "additive":
        return start + drawn
    return start * drawn if operation == "scaling" else drawn.expand_as(start)


def combine_matrices(operation: str, start: Tensor, drawn: Tensor) -> Tensor:
    """Return what samples for diagonals, (..., 3), make of matrices, (..., 9); scaled ones stay symmetric."""
    matrices = start.unflatten(-1, (3, 3))
    if operation == "scaling":
        roots = drawn.sqrt()
        return (matrices * roots.unsqueeze(-1) * roots.unsqueeze(-2)).flatten(-2)
    diagonal = torch.diag_embed(drawn)
    return (matrices + diagonal if operation == "additive" else diagonal.expand_as(matrices)).flatten(-2)


# -- what moves, in every engine by the methods of its views ----------------------------------------------------------


def _origins(engine: Any, view: Any, rows: Tensor | None) -> Tensor:
    each = view.count // engine.num_envs
    return engine.env_positions.repeat_interleave(each, 0) if rows is None else engine.env_positions[rows // each]


def _euler(engine: Any, view: Any, rows: Tensor | None) -> Tensor:
    return torch.stack(get_euler_xyz(view.get_world_poses(rows)[1]), -1)


def _zeros(engine: Any, view: Any, rows: Tensor | None) -> Tensor:
    return torch.zeros((view.count if rows is None else len(rows), 3), device=engine.device)


def _half(columns: slice) -> Callable[[Any, Any, Tensor, Tensor], None]:
    def put(engine: Any, view: Any, values: Tensor, rows: Tensor) -> None:
        velocities = view.get_velocities(rows)
        velocities[:, columns] = values
        view.set_velocities(velocities, rows)

    return put


def _put_joints(engine: Any, view: Any, values: Tensor, rows: Tensor) -> None:
    """Move joints, and leave targets as they are."""
    targets = view.get_applied_actions().joint_positions[rows]
    view.set_joint_positions(values, rows)
    view.set_joint_position_targets(targets, rows)


def _put_joint_velocities(engine: Any, view: Any, values: Tensor, rows: Tensor) -> None:
    targets = view.get_applied_actions().joint_velocities[rows]
    view.set_joint_velocities(values, rows)
    view.set_joint_velocity_targets(targets, rows)


_READ: dict[str, Callable[[Any, Any, Tensor | None], Tensor]] = {
    "position": lambda engine, view, rows: view.get_world_poses(rows)[0] - _origins(engine, view, rows),
    "orientation": _euler,
    "velocity": lambda engine, view, rows: view.get_velocities(rows),
    "linear_velocity": lambda engine, view, rows: view.get_velocities(rows)[:, :3],
    "angular_velocity": lambda engine, view, rows: view.get_velocities(rows)[:, 3:],
    "joint_positions": lambda engine, view, rows: view.get_joint_positions(rows),
    "joint_velocities": lambda engine, view, rows: view.get_joint_velocities(rows),
    "joint_efforts": lambda engine, view, rows: view.get_applied_joint_efforts(rows),
    "force": _zeros,
    GRAVITY: lambda engine, view, rows: engine.get_gravity() if rows is None else engine.get_gravity()[rows],
}
_WRITE: dict[str, Callable[[Any, Any, Tensor, Tensor], None]] = {
    "position": lambda engine, view, values, rows: view.set_world_poses(
        values + _origins(engine, view, rows), indices=rows
    ),
    "orientation": lambda engine, view, values, rows: view.set_world_poses(
        orientations=quat_from_euler_xyz(*values.unbind(-1)), indices=rows
    ),
    "velocity": lambda engine, view, values, rows: view.set_velocities(values, rows),
    "linear_velocity": _half(slice(0, 3)),
    "angular_velocity": _half(slice(3, 6)),
    "joint_positions": _put_joints,
    "joint_velocities": _put_joint_velocities,
    "joint_efforts": lambda engine, view, values, rows: view.set_joint_efforts(values, rows),
    "force": lambda engine, view, values, rows: view.apply_forces(values, rows),
    GRAVITY: lambda engine, view, values, rows: engine.set_gravity(values, rows),
}
