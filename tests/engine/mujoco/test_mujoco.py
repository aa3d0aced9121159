# SPDX-License-Identifier: Apache-2.0
"""The robot in MuJoCo says and does what the one in PhysX does, where no contact lets engines differ."""

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from omni.myriad.engine.mujoco.engine import MujocoEngine, find_mjcf
from omni.myriad.engine.mujoco.view import MujocoView
from omni.myriad.errors import MyriadError

mujoco: Any = importlib.import_module("mujoco")

LOPSIDED = """
<mujoco>
  <worldbody>
    <body name="body" pos="0 0 1">
      <freejoint/>
      <inertial pos="0.3 0 0" mass="2" diaginertia="0.1 0.1 0.1"/>
      <body name="arm" pos="0 0 0.5">
        <joint name="hinge" axis="0 1 0"/>
        <inertial pos="0 0 0" mass="0.001" diaginertia="0.02 0.02 0.02"/>
      </body>
    </body>
  </worldbody>
  <actuator><position joint="hinge" kp="500"/></actuator>
</mujoco>
"""


def metadata(stiffness=0.0, damping=0.0):
    gains = {"stiffness": [stiffness], "damping": [damping], "armature": [0.0]}
    timing, gravity = {"physics_dt": 0.005}, {"gravity": [0.0, 0.0, 0.0]}
    return {"timing": timing, "conventions": gravity, "joints": {"names": ["hinge"], **gains}}


@pytest.fixture
def lopsided(tmp_path):
    """A body whose centre of mass is 0.3 m ahead of its origin, with a light arm on a hinge, without gravity."""

    def build(**gains):
        (tmp_path / "robot.xml").write_text(LOPSIDED)
        engine = MujocoEngine(tmp_path / "robot.xml", metadata(**gains))
        limits = torch.zeros(1, 1, 2)
        like = SimpleNamespace(
            name="robot", dof_names=["hinge"], body_names=["body", "arm"], get_dof_limits=lambda: limits
        )
        engine._view = MujocoView(engine.model, engine.data, like, {})
        return engine, engine._view

    return build


def test_velocities_are_those_of_the_centre_of_mass(lopsided):
    engine, view = lopsided()
    view.set_world_poses(torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 0.5, 0.5, 0.5]]))
    spin = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 3.0]])
    view.set_velocities(spin)
    torch.testing.assert_close(view.get_velocities(), spin, atol=1e-6, rtol=0)
    before = engine.data.xipos[1].copy()
    engine.model.opt.timestep = 0.0005
    engine.step(1000)  # half a second, a turn of 86 degrees
    view.get_world_poses()
    np.testing.assert_allclose(engine.data.xipos[1], before, atol=1e-3)
    assert np.linalg.norm(engine.data.xpos[1] - (0.0, 0.0, 1.0)) > 0.3


def test_drives_have_the_gains_of_the_file_and_the_actuators_of_the_mjcf_are_off(lopsided):
    engine, view = lopsided(stiffness=2.0, damping=0.4)
    view.set_joint_position_targets(torch.tensor([[0.7]]))
    engine.step(1)
    # With the arm at rest the drive pulls with stiffness * target, against the arm's inertia (the body hardly moves).
    assert engine.data.qacc[6] == pytest.approx(2.0 * 0.7 / 0.02, rel=0.25)
    engine.step(1000)
    relative = view.get_joint_positions().item()
    assert relative == pytest.approx(0.7, abs=1e-3)


def test_what_mujoco_lacks_is_named(lopsided, tmp_path):
    _, view = lopsided()
    with pytest.raises(MyriadError, match="get_jacobians"):
        view.get_jacobians()
    assert not hasattr(view, "get_jacobians")
    wrong = metadata()
    wrong["joints"]["names"] = ["elbow"]
    with pytest.raises(MyriadError, match=r"lacks joints.*elbow"):
        MujocoEngine(tmp_path / "robot.xml", wrong)
    (tmp_path / "robot.xml").write_text("<mujoco><nonsense/></mujoco>")
    with pytest.raises(MyriadError, match="MuJoCo cannot read"):
        MujocoEngine(tmp_path / "robot.xml", metadata())


def test_a_state_that_blows_up_is_said(lopsided):
    engine, view = lopsided()
    view.set_joint_velocities(torch.tensor([[float("nan")]]))
    with pytest.raises(MyriadError, match="stopped being finite"):
        engine.step(1)


def fly(env, steps):
    """Let a tumbling ant fall with torques on its joints, and return what its view says before and after."""
    view = env.task.ants
    view.set_world_poses(torch.tensor([[0.0, 0.0, 5.0]]), torch.tensor([[0.5, 0.5, 0.1, 0.7]]))
    view.set_joint_positions(torch.tensor([[0.1, -0.2, 0.3, -0.1, 0.9, -0.8, -1.0, 1.1]]))
    view.set_joint_velocities(torch.tensor([[0.5, -0.2, 0.1, 0.4, 0.2, -0.6, 0.3, 0.1]]))
    view.set_velocities(torch.tensor([[0.3, 0.2, 0.1, 0.5, -0.4, 0.6]]))
    view.set_joint_efforts(torch.tensor([[1.0, -2.0, 3.0, -1.0, 2.0, -3.0, 1.0, -2.0]]))
    states = []
    for _ in range(steps):
        poses = torch.cat(view.get_body_poses(), dim=-1)
        states.append(
            {
                "joint_positions": view.get_joint_positions(),
                "joint_velocities": view.get_joint_velocities(),
                "positions": poses[..., :3],
                "orientations": poses[..., 3:] * poses[..., 3:4].sign(),
                "root_velocity": view.get_velocities(),
                "body_velocities": view.get_body_velocities(),
            }
        )
        env.engine.step(1)
    states[0]["wrenches"] = view.get_measured_joint_forces()
    return [{name: value.clone() for name, value in state.items()} for state in states]


def test_an_ant_that_falls_does_in_mujoco_what_it_does_in_physx(env_of, metadata_of):
    env = env_of("task=Ant", "num_envs=1")
    env.reset()
    meta = metadata_of(env, env.task.ants)
    physx = fly(env, 1)
    MujocoEngine.take_over(env, "ant_view", meta)
    for name, value in fly(env, 1)[0].items():
        if name == "wrenches":  # at the end of the step here, at its beginning there: forces differ by some per cent
            error = (value - physx[0][name]).norm() / value.norm()
            assert error < 0.08, name
            flipped = value.flip(1)
            assert (flipped - physx[0][name]).norm() / value.norm() > 0.5, "the comparison would notice another order"
        else:
            torch.testing.assert_close(value, physx[0][name], atol=1e-5, rtol=1e-5, msg=name)


def test_a_flight_stays_together(env_of, metadata_of):
    env = env_of("task=Ant", "num_envs=1")
    env.reset()
    meta = metadata_of(env, env.task.ants)
    physx = fly(env, 12)[-1]
    MujocoEngine.take_over(env, "ant_view", meta)
    there = fly(env, 12)[-1]
    torch.testing.assert_close(there["positions"], physx["positions"], atol=5e-3, rtol=0)
    torch.testing.assert_close(there["joint_positions"], physx["joint_positions"], atol=0.03, rtol=0)


def test_the_heavier_robot_does_not_stay_together(env_of, metadata_of):
    env = env_of("task=Ant", "num_envs=1")
    env.reset()
    meta = metadata_of(env, env.task.ants)
    physx = fly(env, 12)[-1]
    engine = MujocoEngine.take_over(env, "ant_view", meta)
    engine.model.body_mass[:] *= 3.0
    mujoco.mj_setConst(engine.model, engine.data)
    assert (fly(env, 12)[-1]["joint_positions"] - physx["joint_positions"]).abs().max() > 0.03


def test_a_robot_without_mjcf_is_named(env_of, tmp_path):
    from pxr import Usd

    (tmp_path / "lonely.usda").write_text('#usda 1.0\n(\n    defaultPrim = "Lonely"\n)\ndef Xform "Lonely"\n{\n}\n')
    stage = Usd.Stage.CreateInMemory()
    prim = stage.DefinePrim("/World/envs/env_0/Lonely")
    prim.GetReferences().AddReference(str(tmp_path / "lonely.usda"))
    with pytest.raises(MyriadError, match=r"task Hermit has no MJCF for MuJoCo: expected .*lonely\.xml"):
        find_mjcf(stage, "/World/envs/env_0/Lonely/torso", "Hermit")
    (tmp_path / "lonely.xml").write_text("<mujoco/>")
    assert find_mjcf(stage, "/World/envs/env_0/Lonely/torso", "Hermit") == tmp_path / "lonely.xml"
