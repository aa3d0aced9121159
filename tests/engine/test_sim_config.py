# SPDX-License-Identifier: Apache-2.0
import pytest
from pxr import Usd, UsdPhysics

from omni.myriad.app.config import load_config
from omni.myriad.engine import SimConfig
from omni.myriad.errors import MyriadError


@pytest.fixture
def sim_config():
    return SimConfig(load_config(["task=Ant", "sim_device=cpu"]))


@pytest.mark.parametrize(("dt", "steps"), [(0.0083, 120), (1 / 120, 120), (0.005, 200), (0.01, 100), (1 / 60, 60)])
def test_physics_steps_are_whole_per_second(sim_config, dt, steps):
    sim_config.sim_params["dt"] = dt
    assert sim_config.steps_per_second == steps
    assert sim_config.physics_dt == 1.0 / steps


def test_settings_reach_roots_bodies_and_shapes(sim_config):
    stage = Usd.Stage.CreateInMemory()
    robot = stage.DefinePrim("/Robot")
    torso = stage.DefinePrim("/Robot/torso", "Sphere")
    UsdPhysics.ArticulationRootAPI.Apply(torso)
    UsdPhysics.RigidBodyAPI.Apply(torso)
    UsdPhysics.CollisionAPI.Apply(torso)
    sim_config.apply_articulation_settings("Ant", robot, {"enable_self_collisions": False, "contact_offset": 0.02})
    assert torso.GetAttribute("physxArticulation:enabledSelfCollisions").Get() is False
    assert torso.GetAttribute("physxCollision:contactOffset").Get() == pytest.approx(0.02)
    assert not torso.HasAttribute("physics:mass")


def test_minus_one_leaves_what_the_file_says(sim_config):
    stage = Usd.Stage.CreateInMemory()
    body = stage.DefinePrim("/Body")
    UsdPhysics.RigidBodyAPI.Apply(body)
    UsdPhysics.MassAPI.Apply(body).CreateDensityAttr(7.0)
    sim_config.apply_articulation_settings("Ant", body, {"density": -1})
    assert UsdPhysics.MassAPI(body).GetDensityAttr().Get() == 7.0


def test_unknown_actor_setting_is_named(sim_config):
    sim_config.sim_params["Ant"]["contact_ofset"] = 0.1
    with pytest.raises(MyriadError, match=r"sim\.Ant\.contact_ofset"):
        sim_config.parse_actor_config("Ant")
