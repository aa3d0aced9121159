# SPDX-License-Identifier: Apache-2.0
"""Poses and velocities of articulations' roots, in the world's and in the parent's frame."""

import pytest
import torch
from pxr import Gf, UsdGeom

from omni.myriad.engine.physx import ArticulationView, RigidPrimView

from .scenes import DT, ENV_0, GRAVITY, box, floating_arm

SQRT_HALF = 0.5**0.5
ABOUT_Z = torch.tensor([SQRT_HALF, 0.0, 0.0, SQRT_HALF])  # a quarter turn, scalar first


@pytest.fixture(scope="module")
def world(simulate):
    view = ArticulationView("/World/envs/.*/Float", "floats")
    return simulate(floating_arm, view, gravity=0.0), view


@pytest.fixture
def view(world):
    engine, view = world
    positions = engine.env_positions + torch.tensor([0.0, 0.0, 2.0])
    view.set_world_poses(positions, torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(3, 1))
    view.set_velocities(torch.zeros(3, 6))
    view.set_joint_positions(torch.zeros(3, 1))
    view.set_joint_velocities(torch.zeros(3, 1))
    return view


def test_initial_poses_are_those_of_the_stage_in_each_environment(world, view):
    engine, _ = world
    positions, orientations = view.get_world_poses()
    torch.testing.assert_close(positions, engine.env_positions + torch.tensor([0.0, 0.0, 2.0]))
    torch.testing.assert_close(orientations, torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(3, 1))


def test_orientations_are_scalar_first(view):
    view.set_world_poses(orientations=ABOUT_Z.repeat(3, 1))
    torch.testing.assert_close(view.get_world_poses()[1], ABOUT_Z.repeat(3, 1))
    # The link's centre of mass, 0.5 m along x, now lies along y: turning about z moves it along -x.
    view.set_velocities(torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]).repeat(3, 1))
    velocity = view.get_body_velocities(body_indices=[view.get_body_index("link")])[0, 0]
    torch.testing.assert_close(velocity[3:], torch.tensor([0.0, 0.0, 1.0]))
    # The root's centre of mass is at rest at (-0.2, 0), so the link's turns about it.
    torch.testing.assert_close(velocity[:3], torch.tensor([-0.5, 0.2, 0.0]), atol=1e-5, rtol=0)


def test_what_is_not_given_stays(view):
    positions, _ = view.get_world_poses()
    view.set_world_poses(orientations=ABOUT_Z.repeat(3, 1))
    torch.testing.assert_close(view.get_world_poses()[0], positions)
    view.set_world_poses(positions=positions + 1.0)
    moved, turned = view.get_world_poses()
    torch.testing.assert_close(moved, positions + 1.0)
    torch.testing.assert_close(turned, ABOUT_Z.repeat(3, 1))


def test_indices_pick_rows_of_getters_and_setters(view):
    before, _ = view.get_world_poses()
    view.set_world_poses(positions=torch.tensor([[9.0, 9.0, 9.0]]), indices=[1])
    after, _ = view.get_world_poses()
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]])
    torch.testing.assert_close(view.get_world_poses(indices=[1])[0], torch.tensor([[9.0, 9.0, 9.0]]))
    velocities = torch.arange(12, dtype=torch.float32).reshape(2, 6)
    view.set_velocities(velocities, indices=torch.tensor([2, 0], dtype=torch.int32))
    torch.testing.assert_close(
        view.get_velocities()[[2, 1, 0]], torch.stack((velocities[0], torch.zeros(6), velocities[1]))
    )


def test_setting_no_rows_does_nothing(view):
    before = view.get_velocities()
    view.set_velocities(torch.zeros(0, 6), indices=torch.zeros(0, dtype=torch.int64))
    torch.testing.assert_close(view.get_velocities(), before)


def test_clones_keep_their_values_and_buffers_do_not(view):
    kept = view.get_velocities()
    buffer = view.get_velocities(clone=False)
    positions = view.get_world_poses(clone=False)[0]
    kept_positions = view.get_world_poses()[0]
    view.set_velocities(torch.ones(3, 6))
    view.set_world_poses(positions=kept_positions + 1.0)
    assert view.get_velocities(clone=False) is not None
    torch.testing.assert_close(kept, torch.zeros(3, 6))
    torch.testing.assert_close(buffer, torch.ones(3, 6))
    view.get_world_poses()
    torch.testing.assert_close(positions, kept_positions + 1.0)


def test_linear_and_angular_parts(view):
    view.set_velocities(torch.arange(6, dtype=torch.float32).repeat(3, 1))
    torch.testing.assert_close(view.get_linear_velocities(), torch.tensor([[0.0, 1.0, 2.0]]).repeat(3, 1))
    torch.testing.assert_close(view.get_angular_velocities(indices=[2]), torch.tensor([[3.0, 4.0, 5.0]]))
    view.set_linear_velocities(torch.full((1, 3), 7.0), indices=[1])
    torch.testing.assert_close(view.get_velocities()[1], torch.tensor([7.0, 7.0, 7.0, 3.0, 4.0, 5.0]))
    view.set_angular_velocities(torch.full((3, 3), 8.0))
    torch.testing.assert_close(view.get_velocities()[:2], torch.tensor([[0.0, 1, 2, 8, 8, 8], [7.0, 7, 7, 8, 8, 8]]))


@pytest.mark.parametrize("method", ["set_linear_velocities", "set_angular_velocities"])
def test_parts_of_velocities_cannot_be_set_on_cuda(view, monkeypatch, method):
    monkeypatch.setattr(view, "_device", torch.device("cuda", 0))
    with pytest.raises(NotImplementedError, match="use set_velocities"):
        getattr(view, method)(torch.zeros(3, 3))


def test_a_second_view_of_the_same_prims_sees_what_the_first_wrote(world, view):
    engine, _ = world
    other = engine.scene.get_object("other") or engine.scene.add(RigidPrimView("/World/envs/.*/Float/root", "other"))
    other.get_velocities()
    view.set_velocities(torch.full((3, 6), 0.5))
    torch.testing.assert_close(other.get_velocities(), torch.full((3, 6), 0.5))


def test_local_poses_are_relative_to_the_parent_where_it_was_authored(simulate):
    def build(stage):
        parent = UsdGeom.Xform.Define(stage, f"{ENV_0}/shelf")
        parent.AddTranslateOp().Set(Gf.Vec3d(1.0, 2.0, 3.0))
        parent.AddOrientOp().Set(Gf.Quatf(SQRT_HALF, 0.0, 0.0, SQRT_HALF))
        parent.AddScaleOp().Set(Gf.Vec3f(1.0, 1.0, 2.0))
        box(stage, "shelf/box", at=(0.5, 0.0, 0.25))

    view = RigidPrimView("/World/envs/.*/shelf/box")
    engine = simulate(build, view, gravity=0.0)
    translations, orientations = view.get_local_poses()
    torch.testing.assert_close(translations, torch.tensor([[0.5, 0.0, 0.25]]).repeat(3, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(orientations, torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(3, 1), atol=1e-5, rtol=0)
    # Half a metre along the parent's x is half a metre along the world's y.
    expected = engine.env_positions + torch.tensor([1.0, 2.5, 3.5])
    torch.testing.assert_close(view.get_world_poses()[0], expected, atol=1e-5, rtol=0)

    view.set_local_poses(torch.tensor([[0.0, 1.0, 0.0]]), ABOUT_Z[None], indices=[2])
    position, orientation = view.get_world_poses(indices=[2])
    expected = engine.env_positions[2:] + torch.tensor([0.0, 2.0, 3.0])
    torch.testing.assert_close(position, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(orientation, torch.tensor([[0.0, 0.0, 0.0, 1.0]]), atol=1e-5, rtol=0)
    view.set_local_poses(translations=torch.tensor([[0.0, 0.0, 0.0]]), indices=[2])
    torch.testing.assert_close(view.get_local_poses([2])[1], ABOUT_Z[None], atol=1e-5, rtol=0)


def test_a_free_body_falls(simulate):
    view = RigidPrimView("/World/envs/.*/box")
    engine = simulate(lambda stage: box(stage, "box", at=(0.0, 0.0, 5.0)), view)
    engine.step(12)
    expected = torch.tensor([[0.0, 0.0, -GRAVITY * 12 * DT]]).repeat(3, 1)
    torch.testing.assert_close(view.get_linear_velocities(), expected, atol=1e-4, rtol=0)
    # Velocities are integrated before positions: 1 + 2 + ... + 12 steps of g dt^2.
    heights = view.get_world_poses()[0][:, 2]
    torch.testing.assert_close(heights, torch.full((3,), 5.0 - GRAVITY * DT**2 * 78), atol=1e-4, rtol=0)
