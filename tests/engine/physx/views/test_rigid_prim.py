# SPDX-License-Identifier: Apache-2.0
"""Rigid bodies: rows, masses, forces, switches, default states."""

from pathlib import Path

import pytest
import torch
from pxr import Gf, UsdGeom

from omni.myriad.engine.physx import ArticulationView, RigidPrimView
from omni.myriad.errors import MyriadError

from .scenes import DT, ENV_0, GRAVITY, body, box, floating_arm

SQRT_HALF = 0.5**0.5
# Boxes of 2 kg and 4 kg per environment, high above everything; their inertias are 0.1, 0.2, 0.3 kg m^2.
LIGHT, HEAVY = 2.0, 4.0
DAMPING = 0.05 * DT * 1.1  # what PhysX takes from an angular velocity in one step unless told not to


def two_boxes(stage):
    box(stage, "light", LIGHT, at=(0.0, 0.0, 50.0))
    box(stage, "heavy", HEAVY, at=(1.0, 0.0, 50.0))


@pytest.fixture(scope="module")
def world(simulate):
    view = RigidPrimView("/World/envs/.*/(light|heavy)", "boxes")
    return simulate(two_boxes, view, num_envs=2, gravity=0.0), view


@pytest.fixture
def view(world):
    view = world[1]
    view.post_reset()
    return view


def test_rows_run_through_one_environment_after_the_other(world, view):
    engine, _ = world
    assert view.count == 4
    assert view.num_shapes == 1
    assert view.prim_paths == [f"/World/envs/env_{i}/{name}" for i in range(2) for name in ("light", "heavy")]
    assert view.get_masses().tolist() == [LIGHT, HEAVY, LIGHT, HEAVY]
    offsets = torch.tensor([[0.0, 0.0, 50.0], [1.0, 0.0, 50.0]]).repeat(2, 1)
    positions = engine.env_positions.repeat_interleave(2, 0) + offsets
    torch.testing.assert_close(view.get_world_poses()[0], positions)


def test_rows_follow_the_order_of_several_expressions(world):
    engine, _ = world
    view = engine.scene.add(RigidPrimView(["/World/envs/.*/light", "/World/envs/.*/heavy"], "ordered"))
    assert view.get_masses().tolist() == [LIGHT, HEAVY, LIGHT, HEAVY]
    view = engine.scene.add(RigidPrimView(["/World/envs/.*/heavy", "/World/envs/.*/light"], "reversed"))
    assert view.get_masses().tolist() == [HEAVY, LIGHT, HEAVY, LIGHT]


# -- masses -----------------------------------------------------------------------------------------------------------


def test_masses_have_one_dimension(view):
    view.set_masses(torch.tensor([5.0, 6.0]), indices=[3, 0])
    assert view.get_masses().tolist() == [6, HEAVY, LIGHT, 5]
    torch.testing.assert_close(view.get_inv_masses(), torch.tensor([1 / 6, 1 / HEAVY, 1 / LIGHT, 1 / 5]))
    assert view.get_masses(indices=[3]).tolist() == [5]
    with pytest.raises(MyriadError, match=r"masses must have shape \(4,\), got \(4, 1\)"):
        view.set_masses(torch.ones(4, 1))
    view.set_masses(torch.tensor([LIGHT, HEAVY] * 2))


def test_inertias_and_centres_of_mass(view):
    inertias = torch.diag(torch.tensor([0.1, 0.2, 0.3])).flatten()
    torch.testing.assert_close(view.get_inertias(), inertias.repeat(4, 1))
    torch.testing.assert_close(view.get_inv_inertias(indices=[1])[0, [0, 4, 8]], torch.tensor([10.0, 5.0, 10 / 3]))
    view.set_inertias(2 * inertias[None], indices=[2])
    torch.testing.assert_close(view.get_inertias()[1:3], torch.stack((inertias, 2 * inertias)))
    view.set_inertias(inertias.repeat(4, 1))

    positions, orientations = view.get_coms()
    assert positions.shape == (4, 1, 3) and orientations.shape == (4, 1, 4)
    quarter = torch.tensor([[[SQRT_HALF, 0.0, 0.0, SQRT_HALF]]])
    view.set_coms(positions=torch.tensor([[[0.1, 0.2, 0.3]]]), indices=[1])
    view.set_coms(orientations=quarter, indices=[1])
    torch.testing.assert_close(view.get_coms(indices=[1])[0], torch.tensor([[[0.1, 0.2, 0.3]]]))
    torch.testing.assert_close(view.get_coms(indices=[1])[1], quarter)
    torch.testing.assert_close(view.get_coms(indices=[0, 2])[0], torch.zeros(2, 1, 3))
    view.set_coms(positions, orientations)


def test_masses_and_densities_of_the_constructor(simulate):
    def build(stage):
        for name in ("a", "b"):
            prim = box(stage, name, at=(0.0, 0.0, 3.0), size=0.5)
            prim.GetAttribute("physics:mass").Set(0.0)

    dense = RigidPrimView("/World/envs/.*/a", "dense", densities=torch.full((2,), 800.0))
    given = RigidPrimView("/World/envs/.*/b", "given", masses=torch.tensor([1.0, 2.0]))
    simulate(build, dense, given, num_envs=2)
    torch.testing.assert_close(dense.get_masses(), torch.full((2,), 800.0 * 0.5**3))
    torch.testing.assert_close(dense.get_densities(), torch.full((2,), 800.0))
    assert given.get_masses().tolist() == [1, 2]
    with pytest.raises(NotImplementedError, match="when it starts"):
        dense.set_densities(torch.full((2,), 100.0))


# -- forces -----------------------------------------------------------------------------------------------------------


def test_forces_act_for_one_step(world, view):
    engine, _ = world
    view.apply_forces(torch.tensor([[0.0, 0.0, 12.0]]).repeat(4, 1))
    engine.step()
    expected = torch.tensor([12 / LIGHT, 12 / HEAVY] * 2) * DT
    torch.testing.assert_close(view.get_velocities()[:, 2], expected)
    assert view.get_angular_velocities().abs().max() < 1e-6
    engine.step(3)
    torch.testing.assert_close(view.get_velocities()[:, 2], expected)


def test_forces_on_some_bodies_leave_the_others(world, view):
    engine, _ = world
    view.apply_forces(torch.tensor([[12.0, 0.0, 0.0]]), indices=[2])
    engine.step()
    speeds = view.get_velocities()
    torch.testing.assert_close(speeds[2], torch.tensor([12 / LIGHT * DT, 0, 0, 0, 0, 0]))
    assert speeds[[0, 1, 3]].abs().max() == 0


def test_local_forces_turn_with_the_body(world, view):
    engine, _ = world
    view.set_world_poses(orientations=torch.tensor([[SQRT_HALF, 0.0, 0.0, SQRT_HALF]]).repeat(4, 1))
    view.apply_forces(torch.tensor([[12.0, 0.0, 0.0]]).repeat(4, 1), is_global=False)
    engine.step()
    torch.testing.assert_close(view.get_velocities()[0, :3], torch.tensor([0.0, 12 / LIGHT * DT, 0.0]))


def test_forces_at_a_point_also_turn(world, view):
    engine, _ = world
    up = torch.tensor([[0.0, 0.0, 12.0]]).repeat(4, 1)
    lever = torch.tensor([[0.1, 0.0, 0.0]]).repeat(4, 1)
    view.apply_forces_and_torques_at_pos(up, positions=view.get_world_poses()[0] + lever)
    engine.step()
    # Pushing up at +x turns about -y.
    turning = torch.tensor([[0.0, -0.1 * 12 / 0.2 * DT, 0.0]]).repeat(4, 1)
    torch.testing.assert_close(view.get_angular_velocities(), turning, atol=1e-6, rtol=DAMPING)
    torch.testing.assert_close(view.get_linear_velocities()[0], torch.tensor([0.0, 0.0, 12 / LIGHT * DT]))

    view.post_reset()
    view.apply_forces_and_torques_at_pos(up, positions=lever, is_global=False)
    engine.step()
    torch.testing.assert_close(view.get_angular_velocities(), turning, atol=1e-6, rtol=DAMPING)


def test_forces_at_points_in_the_world_need_no_reading(world, view):
    engine, _ = world
    points = view.get_world_poses()[0]
    view.set_velocities(torch.zeros(4, 6))
    view.apply_forces_and_torques_at_pos(torch.tensor([[0.0, 0.0, 12.0]]).repeat(4, 1), positions=points)
    # Reading would have sent the velocities first, and that waits for the GPU.
    assert len(engine.ledger.pending) == 2
    engine.step()
    torch.testing.assert_close(view.get_linear_velocities()[0], torch.tensor([0.0, 0.0, 12 / LIGHT * DT]))


def test_forces_without_a_point_act_at_the_centre_of_mass(world, view):
    engine, _ = world
    view.set_coms(positions=torch.tensor([[[0.05, 0.0, 0.0]]]).repeat(4, 1, 1))
    view.apply_forces(torch.tensor([[0.0, 0.0, 12.0]]).repeat(4, 1))
    engine.step()
    assert view.get_angular_velocities().abs().max() < 1e-6
    view.set_coms(positions=torch.zeros(4, 1, 3))


def test_torques(world, view):
    engine, _ = world
    view.apply_forces_and_torques_at_pos(torques=torch.tensor([[0.0, 0.0, 3.0]]), indices=[1])
    engine.step()
    expected = torch.zeros(4, 6)
    expected[1, 5] = 3.0 / 0.3 * DT
    torch.testing.assert_close(view.get_velocities(), expected, atol=1e-6, rtol=DAMPING)
    with pytest.raises(MyriadError, match="forces or torques must be given"):
        view.apply_forces_and_torques_at_pos(positions=torch.zeros(4, 3))
    with pytest.raises(MyriadError, match=r"forces must have shape \(4, 3\), got \(4, 2\)"):
        view.apply_forces(torch.zeros(4, 2))


# -- switches and states ----------------------------------------------------------------------------------------------


def test_gravity_can_be_switched_off_and_on(simulate):
    view = RigidPrimView("/World/envs/.*/light", "floaters")
    engine = simulate(two_boxes, view, num_envs=2)
    view.disable_gravities(indices=[1])
    engine.step(6)
    torch.testing.assert_close(view.get_velocities()[:, 2], torch.tensor([-GRAVITY * 6 * DT, 0.0]))
    view.enable_gravities()
    engine.step(6)
    torch.testing.assert_close(view.get_velocities()[:, 2], torch.tensor([-GRAVITY * 12 * DT, -GRAVITY * 6 * DT]))


def test_simulation_can_be_switched_off_and_on(simulate):
    view = RigidPrimView("/World/envs/.*/light", "sleepers")
    engine = simulate(two_boxes, view, num_envs=2)
    view.disable_rigid_body_physics(indices=[0])
    engine.step(6)
    heights = view.get_world_poses()[0][:, 2]
    assert heights[0] == 50.0 and heights[1] < 50.0
    view.enable_rigid_body_physics()
    engine.step(6)
    assert view.get_world_poses()[0][0, 2] < 50.0


def test_default_and_current_state(world, view):
    state = view.get_default_state()
    torch.testing.assert_close(state.positions, view.get_world_poses()[0])
    torch.testing.assert_close(state.linear_velocities, torch.zeros(4, 3))
    view.set_default_state(
        positions=torch.tensor([[7.0, 7.0, 7.0]]), angular_velocities=torch.tensor([[1.0, 2.0, 3.0]]), indices=[2]
    )
    view.post_reset()
    current = view.get_current_dynamic_state()
    torch.testing.assert_close(current.positions[2], torch.tensor([7.0, 7.0, 7.0]))
    torch.testing.assert_close(current.angular_velocities[2], torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(current.positions[:2], state.positions[:2])
    torch.testing.assert_close(current.linear_velocities, torch.zeros(4, 3))
    view.set_default_state(positions=state.positions, angular_velocities=torch.zeros(4, 3))


def test_velocities_of_the_constructor_are_written_when_physics_starts(simulate):
    linear, angular = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), torch.tensor([[0.0, 0.0, 2.0]]).repeat(2, 1)
    view = RigidPrimView("/World/envs/.*/light", linear_velocities=linear, angular_velocities=angular)
    simulate(two_boxes, view, num_envs=2, gravity=0.0)
    torch.testing.assert_close(view.get_velocities(), torch.cat((linear, angular), -1))
    torch.testing.assert_close(view.get_default_state().linear_velocities, linear)


def test_sleep_thresholds_are_zero_where_contacts_are_prepared(simulate):
    awake = RigidPrimView("/World/envs/.*/light", "awake")
    tired = RigidPrimView("/World/envs/.*/heavy", "tired", prepare_contact_sensors=False)
    engine = simulate(two_boxes, awake, tired, num_envs=2, start=False)
    torch.testing.assert_close(awake.get_sleep_thresholds(), torch.zeros(2))
    torch.testing.assert_close(tired.get_sleep_thresholds(), torch.full((2,), 5e-5))
    tired.set_sleep_thresholds(torch.full((2,), 0.5))
    engine.reset()
    torch.testing.assert_close(tired.get_sleep_thresholds(indices=[1]), torch.tensor([0.5]))
    with pytest.raises(NotImplementedError, match="when it starts"):
        tired.set_sleep_thresholds(torch.full((2,), 0.1))


# -- links ------------------------------------------------------------------------------------------------------------


def test_links_can_be_read_and_pushed_but_not_moved(simulate):
    links = RigidPrimView("/World/envs/.*/Float/link", "links")
    roots = RigidPrimView("/World/envs/.*/Float/root", "roots")
    robots = ArticulationView("/World/envs/.*/Float", "robots")
    engine = simulate(floating_arm, links, roots, robots, gravity=0.0)
    assert links.is_non_root_articulation_link and not roots.is_non_root_articulation_link
    torch.testing.assert_close(links.get_world_poses()[0], robots.get_body_poses(body_indices=[1])[0][:, 0])

    # A push of the link moves the centre of mass of both by force / total mass.
    links.apply_forces(torch.tensor([[3.0, 0.0, 0.0]]).repeat(3, 1))
    engine.step()
    velocities = robots.get_body_velocities()[..., :3]
    momentum = velocities[:, 0] * 1.0 + velocities[:, 1] * 0.5
    torch.testing.assert_close(momentum, torch.tensor([[3.0 * DT, 0.0, 0.0]]).repeat(3, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(links.get_velocities(), robots.get_body_velocities()[:, 1])

    for write in (
        lambda: links.set_world_poses(positions=torch.zeros(3, 3)),
        lambda: links.set_local_poses(torch.zeros(3, 3)),
        lambda: links.set_velocities(torch.zeros(3, 6)),
        lambda: links.set_linear_velocities(torch.zeros(3, 3)),
        links.disable_rigid_body_physics,
    ):
        with pytest.raises(NotImplementedError, match="follow from its joints"):
            write()
    before = robots.get_velocities()
    links.post_reset()
    torch.testing.assert_close(robots.get_velocities(), before)

    roots.set_world_poses(positions=torch.full((3, 3), 2.0))
    torch.testing.assert_close(robots.get_world_poses()[0], torch.full((3, 3), 2.0))


def test_sleeping_bodies_wake_when_written(simulate):
    def build(stage):
        box(stage, "box")

    view = RigidPrimView("/World/envs/.*/box", "nappers", prepare_contact_sensors=False)
    engine = simulate(build, view, num_envs=2, ground=True, sleeping=True)
    engine.step(240)
    view.set_world_poses(positions=view.get_world_poses()[0] + torch.tensor([0.0, 0.0, 1.0]))
    engine.step(12)
    assert view.get_velocities()[:, 2].max() < -0.9


def test_a_body_outside_environment_0_is_refused(simulate):
    def build(stage):
        body(stage, "/World/stray")
        body(stage, f"{ENV_0}/box")

    with pytest.raises(MyriadError, match="/World/stray is a rigid body outside"):
        simulate(build, RigidPrimView("/World/envs/.*/box"))


def test_feet_of_a_robot_are_links_of_its_articulation(simulate):
    ant = Path(__file__).resolve().parents[4] / "assets" / "ant" / "ant.usda"

    def build(stage):
        prim = stage.DefinePrim(f"{ENV_0}/Ant", "Xform")
        prim.GetReferences().AddReference(str(ant))
        UsdGeom.Xformable(prim).AddTranslateOp().Set(Gf.Vec3d(0.0, 0.0, 1.0))

    feet = RigidPrimView("/World/envs/.*/Ant/.*_foot", "feet", track_contact_forces=True)
    ants = ArticulationView("/World/envs/.*/Ant", "ants")
    engine = simulate(build, feet, ants, num_envs=4, shards=2, ground=True)
    names = ["front_left_foot", "front_right_foot", "left_back_foot", "right_back_foot"]
    assert feet.prim_paths[4:8] == [f"/World/envs/env_1/Ant/{name}" for name in names]
    engine.step(240)
    links = [ants.get_body_index(name) for name in names]
    torch.testing.assert_close(feet.get_world_poses()[0], ants.get_body_poses(body_indices=links)[0].flatten(0, 1))
    torch.testing.assert_close(feet.get_velocities(), ants.get_body_velocities(body_indices=links).flatten(0, 1))
    # A standing ant rests on its feet.
    weight = ants.get_body_masses().sum(1) * GRAVITY
    carried = feet.get_net_contact_forces(dt=DT)[:, 2].reshape(4, 4).sum(1)
    torch.testing.assert_close(carried, weight, atol=0, rtol=0.1)
