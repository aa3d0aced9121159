# SPDX-License-Identifier: Apache-2.0
"""Views give the same whatever the number of shards."""

import pytest
import torch

from omni.myriad.engine.physx import ArticulationView, RigidPrimView

from .scenes import driven_arm, floating_arm

NUM_ENVS = 5
GETTERS = {
    "arms": [
        *("get_joint_positions", "get_joint_velocities", "get_measured_joint_efforts", "get_measured_joint_forces"),
        *("get_jacobians", "get_mass_matrices", "get_generalized_gravity_forces", "get_gains", "get_dof_limits"),
        *("get_body_velocities", "get_body_inertias", "get_applied_joint_efforts", "get_velocities"),
    ],
    "floats": [
        *("get_joint_positions", "get_velocities", "get_coriolis_and_centrifugal_forces", "get_body_masses"),
        *("get_mass_matrices", "get_body_velocities"),
    ],
    "links": ["get_velocities", "get_masses", "get_inertias"],
}


def run(simulate, shards):
    def build(stage):
        driven_arm(stage)
        floating_arm(stage)

    views = {
        "arms": ArticulationView("/World/envs/.*/Arm", "arms"),
        "floats": ArticulationView("/World/envs/.*/Float", "floats"),
        "links": RigidPrimView("/World/envs/.*/Float/(root|link)", "links"),
    }
    engine = simulate(build, *views.values(), num_envs=NUM_ENVS, shards=shards)
    assert len(engine.shards) == shards
    generator = torch.Generator().manual_seed(0)
    arms, floats, links = views.values()
    for step in range(10):
        arms.set_joint_efforts(torch.rand(NUM_ENVS, 2, generator=generator) * 4 - 2)
        some = torch.randperm(NUM_ENVS, generator=generator)[:2]
        floats.set_velocities(torch.rand(2, 6, generator=generator) - 0.5, indices=some)
        links.apply_forces(torch.rand(2, 3, generator=generator), indices=some)
        arms.set_body_masses(torch.rand(2, 1, generator=generator) + 1.0, indices=some, body_indices=[1])
        if step == 5:
            arms.set_joint_positions(torch.rand(2, 1, generator=generator), indices=some, joint_names=["elbow"])
        engine.step(2)
    read = {
        f"{name}.{getter}": getattr(views[name], getter)() for name, getters in GETTERS.items() for getter in getters
    }
    # Places differ by the environment's position, in which PhysX's floats round differently.
    read["floats"] = floats.get_world_poses()[0] - engine.env_positions
    read["bodies"] = arms.get_body_poses()[0] - engine.env_positions[:, None]
    return views, read


def test_views_do_not_depend_on_shards(simulate):
    views, one = run(simulate, 1)
    others, two = run(simulate, 2)
    assert views["links"].prim_paths == others["links"].prim_paths
    assert views["arms"].dof_names == others["arms"].dof_names
    for name, values in one.items():
        torch.testing.assert_close(values, two[name], msg=lambda message, name=name: f"{name}: {message}")


@pytest.mark.parametrize("shards", [3, NUM_ENVS])
def test_indices_count_over_all_shards(simulate, shards):
    view = ArticulationView("/World/envs/.*/Float", "many")
    engine = simulate(floating_arm, view, num_envs=NUM_ENVS, shards=shards)
    view.set_joint_positions(
        torch.arange(1.0, 1.0 + NUM_ENVS).flip(0)[:, None], indices=list(reversed(range(NUM_ENVS)))
    )
    assert view.get_joint_positions().flatten().tolist() == [1, 2, 3, 4, 5]
    torch.testing.assert_close(view.get_world_poses()[0][:, :2], engine.env_positions[:, :2])
