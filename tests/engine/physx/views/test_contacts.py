# SPDX-License-Identifier: Apache-2.0
"""Contact forces of a stack of boxes at rest: each layer carries the weight above it."""

import logging

import pytest
import torch

from omni.myriad.engine.physx import RigidPrimView
from omni.myriad.errors import MyriadError

from .scenes import DT, GRAVITY, box

BOTTOM, TOP = 2.0, 1.0
RESTLESS = 0.04  # a stack at rest trembles a little, and its forces with it
NUM_ENVS = 4


def stack(stage):
    box(stage, "bottom", BOTTOM, at=(0.0, 0.0, 0.1))
    box(stage, "top", TOP, at=(0.0, 0.0, 0.3))


def views():
    return (
        RigidPrimView("/World/envs/.*/(bottom|top)", "both", track_contact_forces=True),
        RigidPrimView(
            "/World/envs/.*/bottom",
            "filtered",
            contact_filter_prim_paths_expr=["/World/ground/collider", "/World/envs/.*/top"],
            max_contact_count=64,
        ),
    )


@pytest.fixture(scope="module", params=[1, 2, 3], ids=lambda shards: f"{shards}-shards")
def world(simulate, request):
    both, filtered = views()
    engine = simulate(stack, both, filtered, num_envs=NUM_ENVS, ground=True, shards=request.param)
    engine.step(120)
    return engine, both, filtered


def vertical(forces):
    assert forces[..., :2].abs().max() < 0.02
    return forces[..., 2]


def test_net_forces_carry_the_weight(world):
    _, both, _ = world
    weight = vertical(both.get_net_contact_forces(dt=DT))
    # The top's weight presses on the bottom, which cancels it against the ground's share: net m g each.
    expected = torch.tensor([BOTTOM, TOP]).repeat(NUM_ENVS) * GRAVITY
    torch.testing.assert_close(weight, expected, atol=0, rtol=RESTLESS)
    torch.testing.assert_close(vertical(both.get_net_contact_forces(indices=[1, 0], dt=DT)), weight[[1, 0]])


def test_without_dt_forces_are_impulses_as_in_isaac_sim(world):
    _, both, filtered = world
    torch.testing.assert_close(both.get_net_contact_forces(), both.get_net_contact_forces(dt=DT) * DT)
    torch.testing.assert_close(filtered.get_contact_force_matrix(), filtered.get_contact_force_matrix(dt=DT) * DT)


def test_the_matrix_tells_filters_apart(world):
    _, _, filtered = world
    matrix = filtered.get_contact_force_matrix(dt=DT)
    assert matrix.shape == (NUM_ENVS, 2, 3)
    expected = torch.tensor([[BOTTOM + TOP, -TOP]]).repeat(NUM_ENVS, 1) * GRAVITY
    torch.testing.assert_close(vertical(matrix), expected, atol=0, rtol=RESTLESS)
    torch.testing.assert_close(filtered.get_contact_force_matrix(indices=[3], dt=DT), matrix[3:])


def test_single_contacts_add_up_to_the_matrix(world):
    engine, _, filtered = world
    forces, points, normals, distances, counts, starts = filtered.get_contact_force_data(dt=DT)
    assert forces.shape == distances.shape == (64, 1)
    assert points.shape == normals.shape == (64, 3)
    # A box touches with its four corners.
    assert counts.tolist() == [[4, 4]] * NUM_ENVS
    assert starts.flatten().tolist() == list(range(0, 8 * NUM_ENVS, 4))
    matrix = filtered.get_contact_force_matrix(dt=DT)
    for env in range(NUM_ENVS):
        for column in range(2):
            part = slice(int(starts[env, column]), int(starts[env, column] + counts[env, column]))
            torch.testing.assert_close((forces * normals)[part].sum(0), matrix[env, column], atol=1e-3, rtol=1e-4)
            in_env = points[part] - engine.env_positions[env]
            torch.testing.assert_close(in_env[:, :2].abs(), torch.full((4, 2), 0.1), atol=0.01, rtol=0)
            torch.testing.assert_close(in_env[:, 2], torch.full((4,), 0.2 * column), atol=0.01, rtol=0)
    assert forces[8 * NUM_ENVS :].abs().max() == 0
    assert filtered.get_contact_force_data(indices=[2])[5].tolist() == starts[2:3].tolist()


def test_friction_anchors_hold_a_pushed_box(world):
    engine, _, filtered = world
    filtered.apply_forces(torch.tensor([[3.0, 0.0, 0.0]]).repeat(NUM_ENVS, 1))
    engine.step()
    forces, points, counts, starts = filtered.get_friction_data(dt=DT)
    assert forces.shape == points.shape == (64, 3)
    assert counts.shape == starts.shape == (NUM_ENVS, 2)
    assert (counts[:, 0] > 0).all()
    # Whatever moves the pair is balanced by the ground.
    for env in range(NUM_ENVS):
        part = slice(int(starts[env, 0]), int(starts[env, 0] + counts[env, 0]))
        assert -3.5 < forces[part].sum(0)[0] < -2.0
    engine.step(30)


def test_details_beyond_the_capacity_are_cut(simulate):
    view = RigidPrimView(
        "/World/envs/.*/bottom",
        contact_filter_prim_paths_expr=["/World/ground/collider"],
        max_contact_count=6,
    )
    engine = simulate(stack, view, num_envs=2, ground=True, shards=2)
    engine.step(60)
    forces, *_, counts, starts = view.get_contact_force_data(dt=DT)
    assert forces.shape == (6, 1)
    assert counts.flatten().tolist() == [4, 2]
    assert starts.flatten().tolist() == [0, 4]
    assert forces.min() > 0


def test_filters_are_one_list_per_sensor_expression(simulate):
    view = RigidPrimView(
        ["/World/envs/.*/bottom", "/World/envs/.*/top"],
        contact_filter_prim_paths_expr=[["/World/envs/.*/top"], ["/World/envs/.*/bottom"]],
    )
    engine = simulate(stack, view, num_envs=2, ground=True, shards=2)
    engine.step(120)
    matrix = vertical(view.get_contact_force_matrix(dt=DT))
    expected = torch.tensor([[-TOP], [TOP]]).repeat(2, 1) * GRAVITY
    torch.testing.assert_close(matrix, expected, atol=0, rtol=RESTLESS)


@pytest.mark.parametrize(
    ("expressions", "filters", "message"),
    [
        (["a", "b"], ["/World/envs/.*/top"], "one list for each expression of prim_paths_expr, 2, got 1"),
        ("a", ["/World/envs/.*/top", ["/World/envs/.*/top"]], "all strings or all lists"),
    ],
)
def test_filters_that_fit_no_sensor(expressions, filters, message):
    with pytest.raises(MyriadError, match=message):
        RigidPrimView(expressions, contact_filter_prim_paths_expr=filters)


def test_filters_that_do_not_exist(simulate):
    view = RigidPrimView("/World/envs/.*/bottom", contact_filter_prim_paths_expr=["/World/wall"])
    with pytest.raises(MyriadError, match="'/World/wall' is neither below /World/envs nor a collider"):
        simulate(stack, view)


def test_views_that_do_not_track_say_so(world, caplog):
    engine, both, filtered = world
    plain = engine.scene.get_object("plain") or engine.scene.add(RigidPrimView("/World/envs/.*/top", "plain"))
    with caplog.at_level(logging.WARNING):
        assert plain.get_net_contact_forces() is None
        assert both.get_contact_force_matrix() is None
        assert both.get_friction_data() is None
    assert "plain.get_net_contact_forces: construct the view with track_contact_forces" in caplog.text
    assert "both.get_friction_data: construct the view with contact_filter_prim_paths_expr" in caplog.text
    assert filtered.num_shapes == 1


def test_details_need_a_capacity(simulate):
    view = RigidPrimView("/World/envs/.*/top", contact_filter_prim_paths_expr=["/World/envs/.*/bottom"])
    simulate(stack, view, num_envs=1)
    with pytest.raises(MyriadError, match="max_contact_count > 0, got 0"):
        view.get_contact_force_data()


def test_tracking_has_to_be_asked_for_before_physics_starts(simulate):
    engine = simulate(stack, num_envs=1)
    with pytest.raises(MyriadError, match="has no PhysxContactReportAPI"):
        engine.scene.add(RigidPrimView("/World/envs/.*/top", "late", track_contact_forces=True))


def test_tracking_turns_stabilisation_off_unless_told_not_to(simulate):
    for name, off in (("off", True), ("on", False)):
        view = RigidPrimView("/World/envs/.*/top", name, track_contact_forces=True, disable_stablization=off)
        engine = simulate(stack, view, num_envs=1, start=False)
        enabled = engine.stage.GetPrimAtPath("/physicsScene").GetAttribute("physxScene:enableStabilization").Get()
        assert enabled is not off
