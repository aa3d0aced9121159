# SPDX-License-Identifier: Apache-2.0
"""Uneven ground on real physics: balls come to rest where geometry says, on the heights that tasks look up."""

import math

import numpy as np
import pytest
import torch
from pxr import Gf, UsdGeom, UsdPhysics

from omni.myriad import engine

RADIUS = 0.1


def heights():
    """Return four fields of 6 x 6 cells of 1 m: two levels, flat ground, a valley along y, one along a diagonal."""
    x, y = np.meshgrid(np.arange(7.0), np.arange(7.0), indexing="ij")
    ground = np.zeros((7, 28), np.float32)
    ground[:, :7] = 0.5
    ground[4:, :7] = 1.0  # a wall, where there can be one, else a slope
    ground[:, 14:21] = 0.4 * np.abs(x - 3.0)
    ground[:, 21:] = 0.4 * np.abs(x - y)
    return ground


PLACES = torch.tensor([[2.0, 2.0], [5.0, 2.0], [2.6, 17.3], [3.4, 24.5]])
RESTS = torch.tensor(
    [
        [2.0, 2.0, 0.5 + RADIUS],
        [5.0, 2.0, 1.0 + RADIUS],
        [3.0, 17.3, RADIUS * math.sqrt(1.0 + 0.4**2)],
        [3.45, 24.45, RADIUS * math.sqrt(1.0 + 2.0 * 0.4**2)],
    ]
)


@pytest.mark.parametrize("name", ["physx", pytest.param("newton", marks=pytest.mark.nightly)])  # compiles for 40 s
def test_balls_rest_where_geometry_says(engine_of, name):
    world = engine_of("task=Ant", f"engine={name}", "engine.shards=2")
    world.add_height_field("/World/ground", heights(), 1.0, (0.0, 0.0), 0.45, 0.5, 0.5)
    ball = UsdGeom.Sphere.Define(world.stage, "/World/envs/env_0/ball")
    ball.CreateRadiusAttr(RADIUS)
    UsdGeom.Xformable(ball).AddTranslateOp().Set(Gf.Vec3d(2.0, 2.0, 3.0))
    UsdPhysics.CollisionAPI.Apply(ball.GetPrim())
    UsdPhysics.RigidBodyAPI.Apply(ball.GetPrim())
    UsdPhysics.MassAPI.Apply(ball.GetPrim()).CreateMassAttr(1.0)
    world.clone_environments(4, 0.01)
    balls = world.scene.add(engine.RigidPrimView("/World/envs/.*/ball", name="balls"))
    world.reset()
    start = torch.cat((PLACES, torch.tensor([[0.8], [1.3], [0.5], [0.5]])), dim=-1)
    balls.set_world_poses(start, torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(4, 1))
    for _ in range(20):
        world.step(15)
        balls.set_velocities(0.7 * balls.get_velocities())  # else they would roll to and fro for long
    positions = balls.get_world_poses()[0]
    torch.testing.assert_close(positions[:, 2], RESTS[:, 2], atol=0.004, rtol=0.0)
    torch.testing.assert_close(positions[:3, :2], RESTS[:3, :2], atol=0.03, rtol=0.0)
    assert abs((positions[3, 0] - (positions[3, 1] - 21.0)).item()) < 0.03, "on the diagonal"
