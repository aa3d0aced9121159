# SPDX-License-Identifier: Apache-2.0
"""Methods and arguments of Isaac Sim's Articulation and RigidPrim (5.1), which ours have under the same names.

One line a method: its arguments, with the defaults that are not None. 6.0 has the same without residuals.
"""

import inspect

import pytest

from omni.myriad.engine.physx import ArticulationView, RigidPrimView

XFORM = """
    set_visibilities(visibilities, indices)
    get_visibilities(indices)
    get_default_state()
    apply_visual_materials(visual_materials, weaker_than_descendants, indices)
    get_applied_visual_materials(indices)
    is_visual_material_applied(indices)
    get_world_scales(indices)
    set_local_scales(scales, indices)
    get_local_scales(indices)
    is_valid(indices)
    post_reset()
    initialize(physics_sim_view)
    is_physics_handle_valid()
"""

ARTICULATION = """
    get_body_index(body_name)
    get_dof_index(dof_name)
    get_dof_types(dof_names)
    get_dof_limits()
    get_drive_types()
    get_joint_index(joint_name)
    get_link_index(link_name)
    set_friction_coefficients(values, indices, joint_indices, joint_names)
    get_friction_coefficients(indices, joint_indices, joint_names, clone=True)
    set_armatures(values, indices, joint_indices, joint_names)
    get_armatures(indices, joint_indices, joint_names, clone=True)
    get_articulation_body_count()
    set_joint_position_targets(positions, indices, joint_indices, joint_names)
    set_joint_positions(positions, indices, joint_indices, joint_names)
    set_joint_velocity_targets(velocities, indices, joint_indices, joint_names)
    set_joint_velocities(velocities, indices, joint_indices, joint_names)
    set_joint_efforts(efforts, indices, joint_indices, joint_names)
    get_applied_joint_efforts(indices, joint_indices, joint_names, clone=True)
    get_measured_joint_efforts(indices, joint_indices, joint_names, clone=True)
    get_measured_joint_forces(indices, joint_indices, joint_names, clone=True)
    get_joint_positions(indices, joint_indices, joint_names, clone=True)
    get_joint_velocities(indices, joint_indices, joint_names, clone=True)
    apply_action(control_actions, indices)
    get_applied_actions(clone=True)
    set_world_poses(positions, orientations, indices, usd=True)
    get_world_poses(indices, clone=True, usd=True)
    get_local_poses(indices)
    set_local_poses(translations, orientations, indices)
    set_velocities(velocities, indices)
    get_velocities(indices, clone=True)
    set_linear_velocities(velocities, indices)
    get_linear_velocities(indices, clone=True)
    set_angular_velocities(velocities, indices)
    get_angular_velocities(indices, clone=True)
    get_position_residuals(indices, report_max=True)
    get_velocity_residuals(indices, report_max=True)
    set_default_state(positions, orientations, indices)
    set_joints_default_state(positions, velocities, efforts)
    get_joints_default_state()
    get_joints_state()
    get_effort_modes(indices, joint_indices, joint_names)
    set_effort_modes(mode, indices, joint_indices, joint_names)
    set_max_efforts(values, indices, joint_indices, joint_names)
    get_max_efforts(indices, joint_indices, joint_names, clone=True)
    set_max_joint_velocities(values, indices, joint_indices, joint_names)
    get_joint_max_velocities(indices, joint_indices, joint_names, clone=True)
    set_gains(kps, kds, indices, joint_indices, joint_names, save_to_usd=False)
    get_gains(indices, joint_indices, joint_names, clone=True)
    switch_control_mode(mode, indices, joint_indices, joint_names)
    switch_dof_control_mode(mode, dof_index, indices)
    set_solver_position_iteration_counts(counts, indices)
    get_solver_position_iteration_counts(indices)
    set_solver_velocity_iteration_counts(counts, indices)
    get_solver_velocity_iteration_counts(indices)
    set_stabilization_thresholds(thresholds, indices)
    get_stabilization_thresholds(indices)
    set_enabled_self_collisions(flags, indices)
    get_enabled_self_collisions(indices)
    set_sleep_thresholds(thresholds, indices)
    get_sleep_thresholds(indices)
    get_jacobian_shape()
    get_mass_matrix_shape()
    get_jacobians(indices, clone=True)
    get_mass_matrices(indices, clone=True)
    get_coriolis_and_centrifugal_forces(indices, joint_indices, joint_names, clone=True)
    get_generalized_gravity_forces(indices, joint_indices, joint_names, clone=True)
    get_body_masses(indices, body_indices, clone=True)
    get_body_inv_masses(indices, body_indices, clone=True)
    get_body_coms(indices, body_indices, clone=True)
    get_body_inertias(indices, body_indices, clone=True)
    get_body_inv_inertias(indices, body_indices, clone=True)
    get_body_disable_gravity(indices, body_indices, clone=True)
    set_body_masses(values, indices, body_indices)
    set_body_inertias(values, indices, body_indices)
    set_body_coms(positions, orientations, indices, body_indices)
    set_body_disable_gravity(values, indices, body_indices)
    get_fixed_tendon_stiffnesses(indices, clone=True)
    get_fixed_tendon_dampings(indices, clone=True)
    get_fixed_tendon_limit_stiffnesses(indices, clone=True)
    get_fixed_tendon_limits(indices, clone=True)
    get_fixed_tendon_rest_lengths(indices, clone=True)
    get_fixed_tendon_offsets(indices, clone=True)
    set_fixed_tendon_properties(stiffnesses, dampings, limit_stiffnesses, limits, rest_lengths, offsets, indices)
    pause_motion()
    resume_motion()
"""
ARTICULATION_INIT = (
    "__init__(prim_paths_expr, name='articulation_prim_view', positions, translations, orientations, scales, "
    "visibilities, reset_xform_properties=True, enable_residual_reports=False)"
)
ARTICULATION_PROPERTIES = (
    "num_dof num_bodies num_shapes num_joints num_fixed_tendons body_names dof_names joint_names "
    "count prim_paths initialized"
)

RIGID_PRIM = """
    set_world_poses(positions, orientations, indices, usd=True)
    get_world_poses(indices, clone=True, usd=True)
    get_local_poses(indices)
    set_local_poses(translations, orientations, indices)
    set_linear_velocities(velocities, indices)
    get_linear_velocities(indices, clone=True)
    set_angular_velocities(velocities, indices)
    get_angular_velocities(indices, clone=True)
    set_velocities(velocities, indices)
    get_velocities(indices, clone=True)
    apply_forces(forces, indices, is_global=True)
    apply_forces_and_torques_at_pos(forces, torques, positions, indices, is_global=True)
    get_masses(indices, clone=True)
    get_inv_masses(indices, clone=True)
    get_coms(indices, clone=True)
    get_inertias(indices, clone=True)
    get_inv_inertias(indices, clone=True)
    set_masses(masses, indices)
    set_inertias(values, indices)
    set_coms(positions, orientations, indices)
    set_densities(densities, indices)
    get_densities(indices)
    set_sleep_thresholds(thresholds, indices)
    get_sleep_thresholds(indices)
    enable_rigid_body_physics(indices)
    disable_rigid_body_physics(indices)
    enable_gravities(indices)
    disable_gravities(indices)
    set_default_state(positions, orientations, linear_velocities, angular_velocities, indices)
    get_current_dynamic_state()
    get_net_contact_forces(indices, clone=True, dt=1.0)
    get_contact_force_matrix(indices, clone=True, dt=1.0)
    get_contact_force_data(indices, clone=True, dt=1.0)
    get_friction_data(indices, clone=True, dt=1.0)
"""
RIGID_PRIM_INIT = (
    "__init__(prim_paths_expr, name='rigid_prim_view', positions, translations, orientations, scales, visibilities, "
    "reset_xform_properties=True, masses, densities, linear_velocities, angular_velocities, "
    "track_contact_forces=False, prepare_contact_sensors=True, disable_stablization=True, "
    "contact_filter_prim_paths_expr, max_contact_count=0)"
)
RIGID_PRIM_PROPERTIES = "num_shapes count prim_paths initialized is_non_root_articulation_link"


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


def written(cls, name):
    parameters = list(inspect.signature(getattr(cls, name)).parameters.values())[1:]
    plain = (None, inspect.Parameter.empty)
    shown = [p.name if p.default in plain else f"{p.name}={p.default!r}" for p in parameters]
    return f"{name}({', '.join(shown)})"


@pytest.mark.parametrize(
    ("cls", "signature"),
    [(ArticulationView, line) for line in (ARTICULATION_INIT, *lines(XFORM), *lines(ARTICULATION))]
    + [(RigidPrimView, line) for line in (RIGID_PRIM_INIT, *lines(XFORM), *lines(RIGID_PRIM))],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_method_has_the_arguments_of_isaac_sim(cls, signature):
    assert written(cls, signature.split("(")[0]) == signature


@pytest.mark.parametrize(
    ("cls", "names"), [(ArticulationView, ARTICULATION_PROPERTIES), (RigidPrimView, RIGID_PRIM_PROPERTIES)]
)
def test_properties_of_isaac_sim(cls, names):
    assert all(isinstance(inspect.getattr_static(cls, name), property) for name in names.split())


@pytest.mark.parametrize("cls", [ArticulationView, RigidPrimView])
def test_public_methods_are_documented(cls):
    for name, member in inspect.getmembers(cls):
        if not name.startswith("_") and callable(member):
            assert member.__doc__ and member.__doc__.splitlines()[0].endswith("."), name
