# SPDX-License-Identifier: Apache-2.0
default_physx_params = {
    "use_gpu": False,
    "solver_type": 1,
    "enable_sleeping": True,
    "enable_stabilization": True,
    "bounce_threshold_velocity": 0.3,
}
default_sim_params = {
    "dt": 1.0 / 60.0,
    "substeps": 1,
    "gravity": [0.0, 0.0, -9.81],
    "add_ground_plane": True,
    "enable_scene_query_support": False,
    "default_physics_material": {"static_friction": 1.0, "dynamic_friction": 1.0, "restitution": 0.0},
}
