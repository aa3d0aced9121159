# SPDX-License-Identifier: Apache-2.0
"""Calls that ask every public method of both views, and how two engines' answers are compared."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

ENVS = torch.tensor([2, 0])
DOFS = torch.tensor([3, 1])
Call = Callable[[Any], Any]


def by_env(name: str) -> Call:
    """Ask a getter for all environments, then for some."""
    return lambda view: [getattr(view, name)(), getattr(view, name)(indices=ENVS), getattr(view, name)(indices=[1])]


def by_dof(name: str) -> Call:
    """Ask a getter for everything, for some environments, some joints by index and by name, and for a whole row."""

    def call(view: Any) -> Any:
        get = getattr(view, name)
        return [
            get(),
            get(indices=ENVS),
            get(indices=ENVS, joint_indices=DOFS),
            get(joint_names=list(view.dof_names[:2])),
            get(clone=False).clone(),
        ]

    return call


def by_body(name: str) -> Call:
    """Ask a getter for everything, and for some bodies of some environments."""
    return lambda view: [getattr(view, name)(), getattr(view, name)(indices=ENVS, body_indices=torch.tensor([2, 0]))]


def set_dofs(setter: str, getter: str, scale: float, offset: float) -> Call:
    """Write a part, everything, and one named joint of what a getter returns, and read it back each time."""

    def call(view: Any) -> Any:
        get, write = getattr(view, getter), getattr(view, setter)
        write(get(indices=ENVS, joint_indices=DOFS) * scale + offset, indices=ENVS, joint_indices=DOFS)
        answers = [get()]
        write(get() * scale + offset)
        answers.append(get())
        name = [view.dof_names[2]]
        write(get(joint_names=name) * scale + offset, joint_names=name)
        return [*answers, get()]

    return call


def set_envs(setter: str, getter: str, scale: float, offset: float) -> Call:
    """Write some environments and then all of what a getter returns, and read it back each time."""

    def call(view: Any) -> Any:
        get, write = getattr(view, getter), getattr(view, setter)
        write(get(indices=ENVS) * scale + offset, indices=ENVS)
        answers = [get()]
        write(get() * scale + offset)
        return [*answers, get()]

    return call


def poses(setter: str, getter: str) -> Call:
    """Move some prims, turn others, and read poses back."""

    def call(view: Any) -> Any:
        get, write = getattr(view, getter), getattr(view, setter)
        positions, orientations = get()
        turned = torch.tensor([[0.8, 0.6, 0.0, 0.0], [0.5, -0.5, 0.5, 0.5]])
        write(positions[ENVS] + 0.25, turned, indices=ENVS)
        answers = [get()]
        write(positions)
        answers.append(get())
        write(None, orientations)
        return [*answers, get()]

    return call


def _gains(view: Any) -> Any:
    kps, kds = torch.full((2, 2), 3.0), torch.full((2, 2), 0.5)
    view.set_gains(kps, kds, indices=ENVS, joint_indices=DOFS)
    answers = [view.get_gains()]
    view.set_gains(kps=torch.zeros(4, 8))
    answers.append(view.get_gains(indices=ENVS, joint_indices=DOFS))
    view.set_gains(kds=torch.zeros(4, 8))
    return [*answers, view.get_gains()]


def _control_mode(view: Any) -> Any:
    view.set_gains(torch.full((4, 8), 3.0), torch.full((4, 8), 0.5))
    view.switch_control_mode("effort")
    answers = [view.get_gains()]
    view.switch_control_mode("velocity", joint_indices=DOFS)
    answers.append(view.get_gains())
    view.switch_control_mode("position")
    answers.append(view.get_gains())
    view.set_gains(torch.zeros(4, 8), torch.zeros(4, 8))
    return answers


def _dof_control_mode(view: Any) -> Any:
    view.switch_dof_control_mode("velocity", 2)
    answers = [view.get_gains()]
    view.set_gains(torch.zeros(4, 8), torch.zeros(4, 8))
    return answers


def _apply_action(view: Any) -> Any:
    def action(**fields: Any) -> Any:
        empty = dict.fromkeys(("joint_positions", "joint_velocities", "joint_efforts", "joint_indices", "joint_names"))
        return SimpleNamespace(**{**empty, **fields})

    view.apply_action(action(joint_positions=torch.full((4, 8), 0.1), joint_efforts=torch.full((4, 8), 1.5)))
    answers = [view.get_applied_actions()]
    view.apply_action(action(joint_velocities=torch.full((2, 2), 0.3), joint_indices=DOFS), indices=ENVS)
    answers.append(view.get_applied_actions())
    view.set_joint_efforts(torch.zeros(4, 8))
    return answers


def _part_of_efforts(view: Any) -> Any:
    view.set_joint_efforts(torch.full((4, 8), 7.0))
    view.set_joint_efforts(torch.full((4, 2), 3.0), joint_indices=DOFS)
    return view.get_applied_joint_efforts()


def _all_efforts(view: Any) -> Any:
    view.set_joint_efforts(torch.arange(32.0).reshape(4, 8))
    answers = [view.get_applied_joint_efforts()]
    view.set_joint_efforts(torch.full((2, 8), -1.0), indices=ENVS)
    return [*answers, view.get_applied_joint_efforts()]


def _pause(view: Any) -> Any:
    view.set_joint_velocities(torch.full((4, 8), 0.5))
    view.pause_motion()
    return [view.get_joint_velocities(), view.get_applied_actions()]


def _resume(view: Any) -> Any:
    view.resume_motion()
    return [view.get_joint_velocities(), view.get_applied_actions()]


def _default_joints(view: Any) -> Any:
    view.set_joints_default_state(torch.full((4, 8), 0.2), torch.full((4, 8), 0.1), torch.zeros(4, 8))
    return view.get_joints_default_state()


def _post_reset(view: Any) -> Any:
    view.post_reset()
    answers = [view.get_world_poses(), view.get_velocities()]
    if hasattr(view, "get_joints_state"):
        answers += [view.get_joint_positions(), view.get_joint_velocities(), view.get_applied_joint_efforts()]
    return answers


def _coms(view: Any, setter: str, getter: str) -> Any:
    positions, orientations = getattr(view, getter)()
    getattr(view, setter)(positions + 0.01, orientations)
    return getattr(view, getter)()


def _step_with(push: Call) -> Call:
    def call(view: Any) -> Any:
        push(view)
        return STEP() or view.get_velocities()

    return call


def _enable_bodies(view: Any) -> Any:
    positions, orientations = view.get_world_poses()
    view.enable_rigid_body_physics()
    STEP()
    velocities = view.get_velocities()
    view.set_world_poses(positions, orientations)  # for the methods that are asked after this one
    view.set_velocities(torch.zeros(4, 6))
    return velocities


def _no_step() -> None:
    raise RuntimeError("answers() has not been called")


STEP: Callable[[], Any] = _no_step
"""Advances physics by one step; `answers` sets it."""

_COMMON: dict[str, Call] = {
    "name": lambda view: view.name,
    "count": lambda view: view.count,
    "prim_paths": lambda view: view.prim_paths,
    "prims": lambda view: [str(prim.GetPath()) for prim in view.prims],
    "initialized": lambda view: view.initialized,
    "is_valid": lambda view: [view.is_valid(), view.is_valid(indices=ENVS)],
    "initialize": lambda view: view.initialize(),
    "is_physics_handle_valid": lambda view: view.is_physics_handle_valid(),
    "is_non_root_articulation_link": lambda view: view.is_non_root_articulation_link,
    "num_shapes": lambda view: view.num_shapes,
    "get_world_poses": by_env("get_world_poses"),
    "get_local_poses": by_env("get_local_poses"),
    "get_velocities": by_env("get_velocities"),
    "get_linear_velocities": by_env("get_linear_velocities"),
    "get_angular_velocities": by_env("get_angular_velocities"),
    "set_world_poses": poses("set_world_poses", "get_world_poses"),
    "set_local_poses": poses("set_local_poses", "get_local_poses"),
    "set_velocities": set_envs("set_velocities", "get_velocities", 0.5, 0.1),
    "set_linear_velocities": set_envs("set_linear_velocities", "get_linear_velocities", 0.5, 0.1),
    "set_angular_velocities": set_envs("set_angular_velocities", "get_angular_velocities", 0.5, 0.1),
    "get_default_state": lambda view: view.get_default_state(),
    "set_visibilities": lambda view: view.set_visibilities([True] * 4),
    "get_visibilities": by_env("get_visibilities"),
    "apply_visual_materials": lambda view: view.apply_visual_materials(None),
    "get_applied_visual_materials": by_env("get_applied_visual_materials"),
    "is_visual_material_applied": by_env("is_visual_material_applied"),
    "get_world_scales": by_env("get_world_scales"),
    "get_local_scales": by_env("get_local_scales"),
    "set_local_scales": lambda view: view.set_local_scales(torch.ones(4, 3)),
}

ARTICULATION: dict[str, Call] = {
    **_COMMON,
    "num_dof": lambda view: view.num_dof,
    "num_bodies": lambda view: view.num_bodies,
    "num_joints": lambda view: view.num_joints,
    "num_fixed_tendons": lambda view: view.num_fixed_tendons,
    "body_names": lambda view: view.body_names,
    "dof_names": lambda view: view.dof_names,
    "joint_names": lambda view: view.joint_names,
    "get_body_index": lambda view: view.get_body_index("torso"),
    "get_link_index": lambda view: view.get_link_index("torso"),
    "get_dof_index": lambda view: view.get_dof_index(view.dof_names[3]),
    "get_joint_index": lambda view: view.get_joint_index(view.joint_names[3]),
    "get_articulation_body_count": lambda view: view.get_articulation_body_count(),
    "get_dof_types": lambda view: [view.get_dof_types(), view.get_dof_types(view.dof_names[2:4])],
    "get_dof_limits": lambda view: view.get_dof_limits(),
    "get_drive_types": lambda view: view.get_drive_types(),
    "get_joint_positions": by_dof("get_joint_positions"),
    "get_joint_velocities": by_dof("get_joint_velocities"),
    "get_joints_state": lambda view: view.get_joints_state(),
    "get_applied_joint_efforts": by_dof("get_applied_joint_efforts"),
    "get_applied_actions": lambda view: view.get_applied_actions(),
    "get_measured_joint_efforts": by_dof("get_measured_joint_efforts"),
    "get_measured_joint_forces": lambda view: [
        view.get_measured_joint_forces(),
        view.get_measured_joint_forces(indices=ENVS, joint_indices=DOFS),
        view.get_measured_joint_forces(joint_names=view.joint_names[:2]),
    ],
    "get_jacobian_shape": lambda view: view.get_jacobian_shape(),
    "get_mass_matrix_shape": lambda view: view.get_mass_matrix_shape(),
    "get_jacobians": by_env("get_jacobians"),
    "get_mass_matrices": by_env("get_mass_matrices"),
    "get_coriolis_and_centrifugal_forces": by_dof("get_coriolis_and_centrifugal_forces"),
    "get_generalized_gravity_forces": by_dof("get_generalized_gravity_forces"),
    "get_body_masses": by_body("get_body_masses"),
    "get_body_inv_masses": by_body("get_body_inv_masses"),
    "get_body_coms": by_body("get_body_coms"),
    "get_body_inertias": by_body("get_body_inertias"),
    "get_body_inv_inertias": by_body("get_body_inv_inertias"),
    "get_body_disable_gravity": by_body("get_body_disable_gravity"),
    "get_gains": lambda view: [view.get_gains(), view.get_gains(indices=ENVS, joint_indices=DOFS)],
    "get_max_efforts": by_dof("get_max_efforts"),
    "get_joint_max_velocities": by_dof("get_joint_max_velocities"),
    "get_armatures": by_dof("get_armatures"),
    "get_friction_coefficients": by_dof("get_friction_coefficients"),
    "get_effort_modes": lambda view: [view.get_effort_modes(), view.get_effort_modes(indices=ENVS, joint_indices=DOFS)],
    "get_solver_position_iteration_counts": by_env("get_solver_position_iteration_counts"),
    "get_solver_velocity_iteration_counts": by_env("get_solver_velocity_iteration_counts"),
    "get_stabilization_thresholds": by_env("get_stabilization_thresholds"),
    "get_enabled_self_collisions": by_env("get_enabled_self_collisions"),
    "get_sleep_thresholds": by_env("get_sleep_thresholds"),
    "get_fixed_tendon_stiffnesses": by_env("get_fixed_tendon_stiffnesses"),
    "get_fixed_tendon_dampings": by_env("get_fixed_tendon_dampings"),
    "get_fixed_tendon_limit_stiffnesses": by_env("get_fixed_tendon_limit_stiffnesses"),
    "get_fixed_tendon_limits": by_env("get_fixed_tendon_limits"),
    "get_fixed_tendon_rest_lengths": by_env("get_fixed_tendon_rest_lengths"),
    "get_fixed_tendon_offsets": by_env("get_fixed_tendon_offsets"),
    "get_joints_default_state": lambda view: view.get_joints_default_state(),
    # what is written comes after what is read
    "set_joint_positions": set_dofs("set_joint_positions", "get_joint_positions", 0.5, 0.05),
    "set_joint_velocities": set_dofs("set_joint_velocities", "get_joint_velocities", 0.5, 0.05),
    "set_joint_position_targets": lambda view: [
        view.set_joint_position_targets(torch.full((2, 2), 0.4), indices=ENVS, joint_indices=DOFS),
        view.get_applied_actions(),
    ],
    "set_joint_velocity_targets": lambda view: [
        view.set_joint_velocity_targets(torch.full((4, 8), 0.4)),
        view.get_applied_actions(),
    ],
    "set_joint_efforts": _all_efforts,
    "set_joint_efforts of some joints": _part_of_efforts,
    "apply_action": _apply_action,
    "set_max_efforts": set_dofs("set_max_efforts", "get_max_efforts", 0.0, 12.0),
    "set_max_joint_velocities": set_dofs("set_max_joint_velocities", "get_joint_max_velocities", 0.0, 9.0),
    "set_armatures": set_dofs("set_armatures", "get_armatures", 2.0, 0.01),
    "set_friction_coefficients": set_dofs("set_friction_coefficients", "get_friction_coefficients", 1.0, 0.1),
    "set_gains": _gains,
    "switch_control_mode": _control_mode,
    "switch_dof_control_mode": _dof_control_mode,
    "set_effort_modes": lambda view: [view.set_effort_modes("acceleration"), view.get_effort_modes()],
    "set_body_masses": lambda view: [
        view.set_body_masses(torch.full((2, 2), 0.3), indices=ENVS, body_indices=torch.tensor([2, 0])),
        view.get_body_masses(),
        view.get_body_inv_masses(),
    ],
    "set_body_inertias": lambda view: [
        view.set_body_inertias(view.get_body_inertias() * 1.5),
        view.get_body_inertias(),
    ],
    "set_body_coms": lambda view: _coms(view, "set_body_coms", "get_body_coms"),
    "set_body_disable_gravity": lambda view: [
        view.set_body_disable_gravity(torch.ones((2, 9), dtype=torch.uint8), indices=ENVS),
        view.get_body_disable_gravity(),
    ],
    "set_solver_position_iteration_counts": lambda view: [
        view.set_solver_position_iteration_counts(torch.full((4,), 6)),
        view.get_solver_position_iteration_counts(),
    ],
    "set_solver_velocity_iteration_counts": lambda view: [
        view.set_solver_velocity_iteration_counts(torch.full((4,), 2)),
        view.get_solver_velocity_iteration_counts(),
    ],
    "set_stabilization_thresholds": lambda view: [
        view.set_stabilization_thresholds(torch.full((4,), 0.002)),
        view.get_stabilization_thresholds(),
    ],
    "set_enabled_self_collisions": lambda view: [
        view.set_enabled_self_collisions(torch.ones(4, dtype=torch.bool)),
        view.get_enabled_self_collisions(),
    ],
    "set_sleep_thresholds": lambda view: [
        view.set_sleep_thresholds(torch.full((4,), 0.01)),
        view.get_sleep_thresholds(),
    ],
    "set_fixed_tendon_properties": lambda view: view.set_fixed_tendon_properties(),
    "set_joints_default_state": _default_joints,
    "set_default_state": lambda view: [
        view.set_default_state(*view.get_world_poses()),
        view.get_default_state(),
    ],
    "pause_motion": _pause,
    "resume_motion": _resume,
    "post_reset": _post_reset,
    "destroy": lambda view: view.destroy(),
}

RIGID: dict[str, Call] = {
    **_COMMON,
    "get_masses": by_env("get_masses"),
    "get_inv_masses": by_env("get_inv_masses"),
    "get_coms": by_env("get_coms"),
    "get_inertias": by_env("get_inertias"),
    "get_inv_inertias": by_env("get_inv_inertias"),
    "get_densities": by_env("get_densities"),
    "get_sleep_thresholds": by_env("get_sleep_thresholds"),
    "get_current_dynamic_state": lambda view: view.get_current_dynamic_state(),
    "get_net_contact_forces": lambda view: [
        view.get_net_contact_forces(dt=1 / 120),
        view.get_net_contact_forces(indices=ENVS),
    ],
    "get_contact_force_matrix": lambda view: [
        view.get_contact_force_matrix(dt=1 / 120),
        view.get_contact_force_matrix(indices=ENVS),
    ],
    "get_contact_force_data": lambda view: view.get_contact_force_data(dt=1 / 120),
    "get_friction_data": lambda view: view.get_friction_data(dt=1 / 120),
    # what is written comes after what is read
    "set_masses": set_envs("set_masses", "get_masses", 1.5, 0.0),
    "set_inertias": set_envs("set_inertias", "get_inertias", 1.5, 0.0),
    "set_coms": lambda view: _coms(view, "set_coms", "get_coms"),
    "set_densities": lambda view: [view.set_densities(torch.full((4,), 500.0)), view.get_densities()],
    "set_sleep_thresholds": lambda view: [
        view.set_sleep_thresholds(torch.full((4,), 0.01)),
        view.get_sleep_thresholds(),
    ],
    "apply_forces": _step_with(lambda view: view.apply_forces(torch.full((2, 3), 50.0), indices=ENVS)),
    "apply_forces_and_torques_at_pos": _step_with(
        lambda view: view.apply_forces_and_torques_at_pos(
            torch.full((4, 3), 20.0), torch.full((4, 3), 1.0), view.get_world_poses()[0] + 0.1
        )
    ),
    "disable_gravities": _step_with(lambda view: view.disable_gravities()),
    "enable_gravities": _step_with(lambda view: view.enable_gravities()),
    "disable_rigid_body_physics": _step_with(lambda view: view.disable_rigid_body_physics()),
    "enable_rigid_body_physics": _enable_bodies,
    "set_default_state": lambda view: [
        view.set_default_state(*view.get_world_poses(), torch.zeros(4, 3), torch.zeros(4, 3)),
        view.get_default_state(),
    ],
    "post_reset": _post_reset,
    "destroy": lambda view: view.destroy(),
}


def answers(env: Any) -> dict[str, dict[str, Any]]:
    """Let physics run a little, then make every call; an exception is an answer too.

    Returns:
        For each view, by method: what it answered.
    """
    for height in (5.0, 0.0):  # lifted first, so that no contact is left of what happened while physics started
        _write_state(env, height)
        env.engine.step(1 if height else 5)
    return ask(env)


def ask(env: Any) -> dict[str, dict[str, Any]]:
    """Make every call in the state at hand; see `answers`."""
    global STEP
    STEP = env.engine.step
    results: dict[str, dict[str, Any]] = {}
    # Ants come first: pushing balls takes steps, after which the ants' contacts would be compared too.
    for name, view, calls in (
        ("ArticulationView", env.task.robots, ARTICULATION),
        ("RigidPrimView", env.task.balls, RIGID),
    ):
        results[name] = {}
        for method, call in calls.items():
            try:
                results[name][method] = plain(call(view))
            except Exception as error:  # whatever it is, it is compared
                results[name][method] = {"raises": f"{type(error).__name__}: {error}"}
    return results


def _write_state(env: Any, lifted: float) -> None:
    """Put everything into a state that hangs on `lifted` alone, in metres."""
    generator = torch.Generator().manual_seed(3)
    ants = env.task.robots
    for view, x, z in ((ants, 0.0, 0.6), (env.task.balls, 2.0, 0.6)):
        view.set_world_poses(
            env.engine.env_positions + torch.tensor([x, 0.0, z + lifted]), torch.eye(4)[:1].repeat(4, 1)
        )
        view.set_velocities(torch.randn((4, 6), generator=generator) * (0.5 if view is ants else 0.01))
    ants.set_joint_positions(0.2 * torch.randn((4, 8), generator=generator))
    ants.set_joint_velocities(0.5 * torch.randn((4, 8), generator=generator))
    ants.set_joint_efforts(torch.randn((4, 8), generator=generator))


def plain(answer: Any) -> Any:
    """Reduce an answer to tensors, lists, dictionaries and plain values."""
    if isinstance(answer, torch.Tensor):
        return answer.detach().clone()
    if isinstance(answer, enum.IntEnum):
        return f"{answer.name}={int(answer)}"
    if isinstance(answer, (list, tuple)):
        return [plain(item) for item in answer]
    if answer is None or isinstance(answer, (str, int, float, bool)):
        return answer
    if hasattr(answer, "__array__"):
        return torch.as_tensor(answer) if answer.dtype.kind in "fiub" else [str(item) for item in answer.ravel()]
    if dataclasses.is_dataclass(answer) or hasattr(answer, "__dict__"):
        return {name: plain(value) for name, value in sorted(vars(answer).items()) if not name.startswith("_")}
    return repr(answer)


def difference(ours: Any, theirs: Any, tolerance: float = 1e-4) -> str:
    """Say how two answers differ, in a few words; nothing if they are the same."""
    if isinstance(ours, torch.Tensor) and isinstance(theirs, torch.Tensor):
        if ours.shape != theirs.shape:
            return f"shape {tuple(ours.shape)}, Isaac Sim {tuple(theirs.shape)}"
        if ours.dtype != theirs.dtype:
            return f"{ours.dtype}, Isaac Sim {theirs.dtype}"
        if not torch.allclose(ours.double(), theirs.double(), rtol=tolerance, atol=tolerance / 10, equal_nan=True):
            return f"values differ by up to {(ours.double() - theirs.double()).abs().max():.3g}"
        return ""
    if type(ours) is not type(theirs):
        return f"{_kind(ours)}, Isaac Sim {_kind(theirs)}"
    if isinstance(ours, dict) and ours.keys() == theirs.keys():
        return next((text for key in ours if (text := difference(ours[key], theirs[key], tolerance))), "")
    if isinstance(ours, list) and len(ours) == len(theirs):
        return next((text for pair in zip(ours, theirs, strict=True) if (text := difference(*pair, tolerance))), "")
    return "" if ours == theirs else f"{_kind(ours)}, Isaac Sim {_kind(theirs)}"


def _kind(answer: Any) -> str:
    if isinstance(answer, dict) and "raises" in answer:
        return f"raises {answer['raises']}"
    return f"{type(answer).__name__} {str(answer)[:60]}"
