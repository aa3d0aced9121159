# SPDX-License-Identifier: Apache-2.0
"""Domain randomization draws properties of views on real physics."""

import pytest
import torch

from omni.myriad.oige.replicator import CORE, ISAAC


@pytest.fixture
def views(env_of, checkout):
    task = env_of("task=Swing", f"oige={checkout}", "num_envs=3").task
    with ISAAC["trigger"].on_rl_frame(num_envs=3):
        physics = ISAAC["physics_view"]
        physics.register_rigid_prim_view(rigid_prim_view=task._balls)
        physics.register_articulation_view(articulation_view=task._poles)
    return task, physics


def draw(kind, low, high, numbers=1):
    return getattr(CORE["distribution"], kind)((low,) * numbers, (high,) * numbers)


def test_at_resets_only_those_that_were_reset_are_drawn_from_what_they_had_first(views):
    task, physics = views
    with ISAAC["gate"].on_env_reset():
        physics.randomize_rigid_prim_view(view_name="ball_view", operation="scaling", mass=draw("uniform", 2.0, 3.0))
    first = task._balls.get_masses()
    for _ in range(2):  # the second time from the first mass again, not from the drawn one
        physics.step_randomization(torch.tensor([[1]]))
        ratio = task._balls.get_masses() / first
        torch.testing.assert_close(ratio[[0, 2]], torch.ones(2))
        assert 2.0 <= ratio[1] <= 3.0


def test_at_intervals_all_are_drawn(views):
    task, physics = views
    numbers, cart = task._poles.num_dof, task._poles.get_dof_index("cartJoint")  # the pole's joint has no limits
    with ISAAC["gate"].on_interval(interval=3):
        physics.randomize_articulation_view(
            view_name="pole_view", operation="additive", lower_dof_limits=draw("normal", -1.0, 0.0, numbers)
        )
    before = task._poles.get_dof_limits().clone()
    for step in range(1, 4):
        physics.step_randomization(torch.zeros(0, dtype=torch.long))
        moved = (task._poles.get_dof_limits() - before)[:, cart]
        torch.testing.assert_close(moved[:, 0], torch.full((3,), -1.0 if step == 3 else 0.0))
        torch.testing.assert_close(moved[:, 1], torch.zeros(3))


def test_what_can_be_drawn_has_the_names_that_their_randomizer_asks_for():
    assert ISAAC["SIMULATION_CONTEXT_ATTRIBUTES"] == ["gravity"]
    assert {"mass", "material_properties"} <= set(ISAAC["RIGID_PRIM_ATTRIBUTES"])
    assert {"stiffness", "tendon_dampings"} <= set(ISAAC["ARTICULATION_ATTRIBUTES"])


def test_gravity_is_that_of_the_scene(views):
    task, physics = views
    physics.register_simulation_context(task._env.engine)
    with ISAAC["gate"].on_interval(interval=2):
        physics.randomize_simulation_context(operation="additive", gravity=draw("uniform", 1.0, 1.0, 3))
    first, seen = physics._simulation_context_initial_values["gravity"], []
    for _ in range(4):  # each time from the first again
        physics.step_randomization(torch.zeros(0, dtype=torch.long))
        seen.append((task._env.engine.get_gravity() - first).tolist())
    assert seen == [[0.0] * 3] + 3 * [pytest.approx([1.0] * 3)]


def test_materials_are_drawn_for_each_shape(views):
    task, physics = views
    shapes = physics._articulation_views_initial_values["pole_view"]["material_properties"].shape[1] // 3
    each = CORE["distribution"].log_uniform([[0.25, 1.0, 1.0]] * shapes, [[0.75, 1.0, 1.0]] * shapes)
    with ISAAC["gate"].on_env_reset():
        physics.randomize_articulation_view(view_name="pole_view", operation="direct", material_properties=each)
    physics.step_randomization(torch.arange(3))
    friction = task._poles._read("ARTICULATION_SHAPE_FRICTION_AND_RESTITUTION", None, None, True)[..., 0]
    assert ((friction >= 0.25) & (friction <= 0.75)).all() and friction.unique().numel() == 3 * shapes
