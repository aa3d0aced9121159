# SPDX-License-Identifier: Apache-2.0
"""Names, counts, paths, and what views answer before physics runs."""

import inspect
import logging

import pytest
import torch
from pxr import Usd

from omni.myriad.engine.physx import ArticulationView, RigidPrimView
from omni.myriad.engine.physx.views.prim import BEFORE_PHYSICS
from omni.myriad.engine.physx.views.unsupported import UNSUPPORTED
from omni.myriad.errors import MyriadError

from .scenes import ENV_0, arm, body, box, floating_arm


@pytest.fixture(scope="module")
def view(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "arms")
    simulate(arm, view)
    return view


def test_counts_and_names(view):
    assert (view.count, view.num_dof, view.num_bodies, view.num_joints) == (3, 2, 3, 2)
    assert (view.num_shapes, view.num_fixed_tendons, view.get_articulation_body_count()) == (0, 0, 3)
    assert view.body_names == ["base", "upper", "lower"]
    assert view.joint_names == view.dof_names == ["shoulder", "elbow"]
    assert view.prim_paths == [f"/World/envs/env_{i}/Arm" for i in range(3)]
    assert view.initialized and view.is_valid() and view.is_physics_handle_valid()


def test_indices_by_name(view):
    assert view.body_indices == view._body_indices == {"base": 0, "upper": 1, "lower": 2}
    assert view.dof_indices == view._dof_indices == {"shoulder": 0, "elbow": 1}
    assert view.get_body_index("lower") == view.get_link_index("lower") == 2
    assert view.get_dof_index("elbow") == view.get_joint_index("elbow") == 1


@pytest.mark.parametrize(
    ("method", "argument"),
    [
        ("get_body_index", "body_name"),
        ("get_link_index", "link_name"),
        ("get_dof_index", "dof_name"),
        ("get_joint_index", "joint_name"),
    ],
)
def test_unknown_names_list_the_known_ones(view, method, argument):
    known = "base, upper, lower" if argument in ("body_name", "link_name") else "shoulder, elbow"
    with pytest.raises(MyriadError, match=f"{argument} has no 'wrist'; the names are: {known}"):
        getattr(view, method)("wrist")


def test_a_string_is_no_list_of_names(view):
    with pytest.raises(MyriadError, match="joint_names must be a list of names, got 'elbow'"):
        view.get_joint_positions(joint_names="elbow")


def test_an_expression_may_name_the_prim_above_or_at_the_articulation_root(simulate):
    above = ArticulationView("/World/envs/.*/Float", "above")
    exact = ArticulationView(["/World/envs/*/Float/root"], "exact")
    simulate(floating_arm, above, exact)
    assert above.prim_paths == exact.prim_paths == [f"/World/envs/env_{i}/Float/root" for i in range(3)]


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (ArticulationView("/World/envs/.*/Leg", "a"), "matches no prim; /World/envs/env_0 holds"),
        (ArticulationView("/World/envs/env_0/Arm", "b"), "leaves environments out"),
        (ArticulationView("/World/robots/Arm", "c"), "must name prims below /World/envs"),
        (ArticulationView("/World/envs/(.*/Arm", "d"), "no valid expression"),
        (ArticulationView("/World/envs/.*/box", "e"), "is no articulation"),
        (RigidPrimView("/World/envs/.*/Arm", "f"), "env_0/Arm is no rigid body"),
    ],
)
def test_expressions_that_name_nothing_useful(simulate, view, message):
    def build(stage):
        arm(stage)
        box(stage, "box")

    with pytest.raises(MyriadError, match=message):
        simulate(build, view)


def test_a_view_needs_a_scene_and_physics(simulate):
    with pytest.raises(MyriadError, match=r"scene\.add"):
        ArticulationView("/World/envs/.*/Arm", "loose").initialize()
    with pytest.raises(MyriadError, match=r"scene\.add"):
        ArticulationView("/World/envs/.*/Arm", "loose").get_sleep_thresholds()
    view = ArticulationView("/World/envs/.*/Arm", "early")
    simulate(arm, view, start=False)
    with pytest.raises(MyriadError, match="reset the engine"):
        view.initialize()


# What USD answers, or nobody, before physics runs.
_ALWAYS = ("_iteration_counts", "_thresholds", "_self_collisions", "_densities", "_state", "_residuals")
_RENDERED = ("_visibilities", "_materials", "_scales")


@pytest.mark.parametrize("cls", [ArticulationView, RigidPrimView])
def test_getters_and_properties_are_none_with_a_warning_before_physics_runs(simulate, caplog, cls):
    expression = "/World/envs/.*/" + ("Float" if cls is ArticulationView else "Float/link")
    view = cls(expression, "early")
    simulate(floating_arm, view, start=False)
    asked = 0
    with caplog.at_level(logging.WARNING):
        for name, member in inspect.getmembers(cls):
            if name.startswith("_") or name in ("prim_paths", "count", "initialized"):
                continue
            if isinstance(member, property):
                value = getattr(view, name)
                if name == "is_non_root_articulation_link":
                    continue
            elif name.startswith("get_") and not name.endswith((*_ALWAYS, *_RENDERED)):
                value = member(view, "x") if name.endswith("_index") else member(view)
            else:
                continue
            asked += 1
            assert value is None, name
            assert f"early.{name}: physics is not running" in caplog.text
    assert asked > (40 if cls is ArticulationView else 10)
    assert not view.initialized
    view.set_velocities(torch.zeros(3, 6))
    assert "early.set_velocities" in caplog.text


def test_views_are_none_again_after_the_engine_closes(simulate):
    view = ArticulationView("/World/envs/.*/Float", "closed")
    engine = simulate(floating_arm, view)
    assert view.get_velocities() is not None
    engine.close()
    assert view.get_velocities() is None
    assert not view.is_valid()


def test_bodies_below_an_instanceable_reference(simulate, tmp_path):
    source = Usd.Stage.CreateNew(str(tmp_path / "wheel.usda"))
    source.DefinePrim("/Wheel", "Xform")
    body(source, "/Wheel/rim", mass=0.5)
    source.Save()

    def build(stage):
        for name in ("left", "right"):
            prim = stage.DefinePrim(f"{ENV_0}/{name}", "Xform")
            prim.GetReferences().AddReference(str(tmp_path / "wheel.usda"), "/Wheel")
            prim.SetInstanceable(True)

    view = RigidPrimView("/World/envs/.*/(left|right)/rim", "rims", track_contact_forces=True)
    simulate(build, view, num_envs=2)
    assert view.prim_paths == [f"/World/envs/env_{i}/{side}/rim" for i in range(2) for side in ("left", "right")]
    torch.testing.assert_close(view.get_masses(), torch.full((4,), 0.5))
    torch.testing.assert_close(view.get_net_contact_forces(), torch.zeros(4, 3))


def test_what_only_a_renderer_has_says_so():
    view = RigidPrimView("/World/envs/.*/box")
    for name, arguments in {
        "set_visibilities": [None],
        "get_visibilities": [],
        "apply_visual_materials": [None],
        "get_applied_visual_materials": [],
        "is_visual_material_applied": [],
        "get_world_scales": [],
        "set_local_scales": [None],
        "get_local_scales": [],
    }.items():
        with pytest.raises(NotImplementedError, match=name):
            getattr(view, name)(*arguments)
    with pytest.raises(NotImplementedError, match="set_visibilities"):
        RigidPrimView("/World/envs/.*/box", visibilities=[True])
    with pytest.raises(NotImplementedError, match="residuals"):
        ArticulationView("/World/envs/.*/Arm", enable_residual_reports=True)
    with pytest.raises(NotImplementedError, match="residuals"):
        ArticulationView("/World/envs/.*/Arm").get_velocity_residuals()


@pytest.mark.parametrize("cls", [ArticulationView, RigidPrimView])
def test_whatever_is_unsupported_raises_the_reason_in_the_table(cls):
    view = cls("/World/envs/.*/box", "unsupported")
    methods = [name for name in UNSUPPORTED if hasattr(cls, name)]
    assert len(methods) == len(UNSUPPORTED) - (0 if cls is ArticulationView else 2)
    for name in methods:
        with pytest.raises(NotImplementedError) as raised:
            getattr(view, name)()
        assert str(raised.value) == f"{name}: {UNSUPPORTED[name]}."
        assert UNSUPPORTED[name] in getattr(cls, name).__doc__


def test_every_name_that_does_not_wait_for_physics_is_one_of_a_view():
    assert [
        name for name in BEFORE_PHYSICS if not (hasattr(ArticulationView, name) or hasattr(RigidPrimView, name))
    ] == []


def test_subclasses_may_define_methods_of_their_own(simulate):
    class Robots(ArticulationView):
        def initialize(self, physics_sim_view=None):
            super().initialize(physics_sim_view)
            self.started = True

        def hello(self):
            return self.num_dof

    view = Robots("/World/envs/.*/Arm", "robots")
    assert view.hello() is None
    simulate(arm, view)
    assert view.started and view.hello() == 2
