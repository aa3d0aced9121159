# SPDX-License-Identifier: Apache-2.0
"""The robot in MuJoCo says and does what the one in PhysX does, where no contact lets engines differ."""

import importlib
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from pxr import UsdGeom, UsdPhysics

from omni.myriad.engine.mujoco import ArticulationView
from omni.myriad.engine.mujoco.robot import find_mjcf, read_world
from omni.myriad.errors import MyriadError

mujoco: Any = importlib.import_module("mujoco")
mujoco_engine: Any = importlib.import_module("omni.myriad.engine.mujoco")

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
LOPSIDED_USD = """#usda 1.0
( defaultPrim = "Robot" )
def Xform "Robot"
{{
    def Xform "body" ( prepend apiSchemas = ["PhysicsArticulationRootAPI", "PhysicsRigidBodyAPI"] )
    {{
        double3 xformOp:translate = (0, 0, 1)
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }}
    def Xform "arm" ( prepend apiSchemas = ["PhysicsRigidBodyAPI"] )
    {{
    }}
    def PhysicsRevoluteJoint "{joint}" ( prepend apiSchemas = ["PhysicsDriveAPI:angular", "PhysxJointAxisAPI:angular"] )
    {{
        rel physics:body0 = </Robot/body>
        rel physics:body1 = </Robot/arm>
        quatf physics:localRot1 = (0, 0, 1, 0)
        float physics:upperLimit = 90
        float drive:angular:physics:stiffness = {stiffness}
        float drive:angular:physics:damping = {damping}
        float drive:angular:physics:targetPosition = 90
        float physxJointAxis:angular:armature = {armature}
        float state:angular:physics:position = {position}
    }}
    {more}
}}
"""


@pytest.fixture
def lopsided(engine_of, tmp_path):
    """A body whose centre of mass is 0.3 m ahead of its origin, with a light arm on a hinge, without gravity."""

    files = (tmp_path / f"robot_{number}.usda" for number in itertools.count())  # USD keeps a file it has read

    def build(stiffness=0.0, damping=0.0, mjcf=LOPSIDED, start=True, **others):
        file = next(files)
        file.with_suffix(".xml").write_text(mjcf)
        gains = {"stiffness": stiffness * math.pi / 180, "damping": damping * math.pi / 180}
        defaults = {"armature": 0.0, "position": 0.0, "joint": "hinge", "more": ""}
        text = LOPSIDED_USD.format(**gains, **defaults | others)
        file.write_text(text)
        engine = engine_of("engine=mujoco", "task=Ant", "task.sim.dt=0.005", "task.sim.gravity=[0,0,0]")
        engine.stage.DefinePrim("/World/envs/env_0/Robot").GetReferences().AddReference(str(file))
        view = engine.scene.add(ArticulationView("/World/envs/.*/Robot", name="robot"))
        if start:
            engine.clone_environments(1, 1.0)
            engine.reset()
        return engine, view

    return build


def test_the_robot_starts_as_usd_says(lopsided):
    engine, view = lopsided(stiffness=2.0, damping=0.4, armature=0.03, position=-180.0)
    torch.testing.assert_close(view.get_body_coms()[0], torch.tensor([[[0.3, 0.0, 0.0], [0.0, 0.0, 0.0]]]))
    position, orientation = view.get_world_poses()
    assert position.tolist() == [[0.0, 0.0, 1.0]] and orientation.tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert view.body_names == ["body", "arm"] and view.dof_names == ["hinge"] and view.count == 1
    assert view.get_dof_limits()[0, 0].tolist() == pytest.approx([-torch.finfo(torch.float32).max, math.pi / 2])
    assert view.get_joint_positions().item() == pytest.approx(-math.pi)
    assert view.get_applied_actions().joint_positions.item() == pytest.approx(math.pi / 2)
    assert [gain.item() for gain in view.get_gains()] == pytest.approx([2.0, 0.4])
    assert view.get_armatures().item() == pytest.approx(0.03)
    assert view._robot.links[1][2].tolist() == [0.0, 0.0, 1.0, 0.0]
    assert engine.model.opt.timestep == engine.physics_dt == 0.005
    assert engine.is_playing() and engine.capture is None and engine.application is None
    engine.step(3)
    assert engine.phase_seconds["step"] > 0.0


def test_a_state_comes_back(lopsided):
    engine, view = lopsided(damping=0.1)
    view.set_velocities(torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]))
    view.set_joint_efforts(torch.tensor([[0.02]]))
    engine.step(20)
    saved = engine.get_state()
    engine.step(20)
    after = engine.get_state()["robot"]
    engine.set_state(saved)
    for name, value in engine.get_state()["robot"].items():
        torch.testing.assert_close(value, saved["robot"][name], atol=1e-6, rtol=1e-6, msg=name)
    engine.step(20)
    for name, value in engine.get_state()["robot"].items():
        torch.testing.assert_close(value, after[name], atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize("task", ["Ant", "Cartpole", "Humanoid", "Ingenuity", "Quadcopter"])
def test_what_usd_says_is_what_physx_says(env_of, task):
    env = env_of(f"task={task}", "num_envs=1")
    (view,) = env.engine.robots().values()
    ((robot,), _) = read_world(env.engine.stage)
    names = [dof.name for dof in robot.dofs], [name for name, *_ in robot.links]
    assert names == (view.dof_names, view.body_names)
    limits, targets = view.get_dof_limits().unbind(-1), view.get_applied_actions().joint_positions
    physx = (
        *limits,
        *view.get_gains(),
        view.get_armatures(),
        view.get_joint_positions(),
        targets,
        view.get_max_efforts(),
    )
    said = torch.tensor([dof[1:] for dof in robot.dofs])
    torch.testing.assert_close(said, torch.cat(physx).T, atol=1e-6, rtol=1e-6)
    for mine, physx in zip(robot.root_pose, view.get_world_poses(), strict=True):
        torch.testing.assert_close(torch.tensor(mine, dtype=torch.float32), physx[0], atol=1e-6, rtol=1e-6)


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


def test_a_stiff_drive_comes_to_rest_though_it_wants_more_than_its_limit(lopsided):
    engine, view = lopsided(stiffness=20000.0, damping=2000.0)
    view._max_forces[:] = 100.0  # it wants 14,000 N m at first, and transmits 14
    view.set_joint_position_targets(torch.tensor([[0.7]]))
    engine.step(1)
    # v = stiffness * error / (damping + dt * stiffness), as nothing of 0.02 kg m^2 matters beside dt * damping.
    assert view.get_joint_velocities().item() == pytest.approx(20000.0 * 0.7 / 2100.0, rel=0.01)
    engine.step(200)
    assert view.get_joint_positions().item() == pytest.approx(0.7, abs=1e-3)
    assert abs(view.get_joint_velocities().item()) < 0.01


def test_a_soft_drive_is_cut_at_its_limit(lopsided):
    engine, view = lopsided(stiffness=20.0)
    view._max_forces[:] = 1.0
    view.set_joint_position_targets(torch.tensor([[0.7]]))
    engine.step(1)
    assert engine.data.qfrc_actuator[6] == pytest.approx(1.0)


def test_a_robot_whose_file_has_no_ground_stands_on_the_tasks(lopsided):
    round_body = LOPSIDED.replace("<freejoint/>", '<freejoint/><geom type="sphere" size="0.2"/>')
    heights = []
    for authored in (False, True):
        engine, _ = lopsided(mjcf=round_body, start=False)
        if authored:
            engine.add_ground_plane(dynamic_friction=0.7)
        engine.clone_environments(1, 1.0)
        engine.reset()
        engine.model.opt.gravity[2] = -9.81
        engine.step(400)
        heights.append(engine.data.xpos[1][2])
    assert heights[0] < -1.0 and heights[1] == pytest.approx(0.2, abs=0.02)
    assert engine.model.geom("ground").friction[0] == 0.7


def test_what_mujoco_lacks_is_named(lopsided, engine_of):
    engine, view = lopsided()
    with pytest.raises(MyriadError, match="get_jacobians"):
        view.get_jacobians()
    assert not hasattr(view, "get_jacobians")
    with pytest.raises(MyriadError, match=r"RigidPrimView\(track_contact_forces=.* is not to be had"):
        mujoco_engine.RigidPrimView("/World/envs/.*/Robot/arm", name="arms", track_contact_forces=True)
    with pytest.raises(MyriadError, match=r"scales=.* is not to be had"):
        ArticulationView("/World/envs/.*/Robot", name="robot", scales=torch.ones(1, 3))
    with pytest.raises(MyriadError, match="one view of each robot; 'another'"):
        engine.scene.add(ArticulationView("/World/envs/.*/Robot", name="another"))
    with pytest.raises(MyriadError, match="dof_name has no 'elbow'; the names are: hinge"):
        view.get_dof_index("elbow")
    with pytest.raises(MyriadError, match=r"lacks joints.*elbow"):
        lopsided(joint="elbow")
    with pytest.raises(MyriadError, match="MuJoCo cannot read"):
        lopsided(mjcf="<mujoco><nonsense/></mujoco>")
    box = 'def Cube "box" ( prepend apiSchemas = ["PhysicsRigidBodyAPI"] ) { }'
    with pytest.raises(MyriadError, match="not linked to each other: body, box"):
        lopsided(more=box)
    ball = 'def PhysicsSphericalJoint "ball" { rel physics:body0 = </Robot/body>\nrel physics:body1 = </Robot/arm>\n}'
    with pytest.raises(MyriadError, match=r"turn, slide or do neither; .*/ball is another"):
        lopsided(more=ball)


def test_there_is_one_environment_on_the_cpu(lopsided, engine_of):
    engine, view = lopsided(start=False)
    with pytest.raises(MyriadError, match="no environments"):
        engine.reset()
    with pytest.raises(MyriadError, match="'robot' has no physics yet"):
        view.get_joint_positions()
    with pytest.raises(MyriadError, match="one environment, not 4: give num_envs=1"):
        engine.clone_environments(4, 1.0)
    empty = engine_of("engine=mujoco", "task=Ant")
    empty.clone_environments(1, 1.0)
    with pytest.raises(MyriadError, match="steps a robot, and /World/envs/env_0 holds none"):
        empty.reset()
    empty._sim_config.config["sim_device"] = "cuda:0"
    with pytest.raises(MyriadError, match="give sim_device=cpu"):
        type(empty)(empty._sim_config)


def test_only_who_sets_targets_is_told_that_they_move_nothing(env_of, caplog):
    env = env_of("task=Cartpole", "num_envs=1", "engine=mujoco")  # whose joints have no drives
    env.reset()
    assert "move nothing" not in caplog.text
    env.task.cartpoles.set_joint_position_targets(torch.zeros(1, 2))
    assert "move nothing" in caplog.text


def test_views_are_those_of_the_engine_that_runs(env_of):
    kinds = []
    for engine in ("physx", "mujoco", "physx"):
        env = env_of("task=Cartpole", "num_envs=1", f"engine={engine}")
        assert env.engine.name == engine
        kinds.append(type(env.task.cartpoles).__module__.split(".")[3])
        env.reset()
        env.close()
    assert kinds == ["physx", "mujoco", "physx"]
    engine = env_of("task=Cartpole", "num_envs=1", "engine=mujoco").engine
    with pytest.raises(MyriadError, match="'stray' is a ArticulationView of another engine"):
        engine.scene.add(type(env.task.cartpoles)("/World/envs/.*/Cartpole", name="stray"))


@pytest.mark.usefixtures("views_take_nan")
def test_a_state_that_blows_up_is_said(lopsided):
    engine, view = lopsided()
    view.set_joint_velocities(torch.tensor([[float("nan")]]))
    with pytest.raises(MyriadError, match="stopped being finite"):
        engine.step(1)


def fly(env, steps, prepare=lambda env: None):
    """Let a tumbling ant fall with torques on its joints, and return what its view says before and after."""
    env.reset()
    prepare(env)
    view = env.task.robots
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


def test_an_ant_that_falls_does_in_mujoco_what_it_does_in_physx(env_of):
    physx = fly(env_of("task=Ant", "num_envs=1"), 1)
    for name, value in fly(env_of("task=Ant", "num_envs=1", "engine=mujoco"), 1)[0].items():
        if name == "wrenches":  # at the end of the step here, at its beginning there: forces differ by some per cent
            error = (value - physx[0][name]).norm() / value.norm()
            assert error < 0.08, name
            flipped = value.flip(1)
            assert (flipped - physx[0][name]).norm() / value.norm() > 0.5, "the comparison would notice another order"
        else:
            torch.testing.assert_close(value, physx[0][name], atol=1e-5, rtol=1e-5, msg=name)


def test_a_flight_stays_together(env_of):
    physx = fly(env_of("task=Ant", "num_envs=1"), 12)[-1]
    there = fly(env_of("task=Ant", "num_envs=1", "engine=mujoco"), 12)[-1]
    torch.testing.assert_close(there["positions"], physx["positions"], atol=5e-3, rtol=0)
    torch.testing.assert_close(there["joint_positions"], physx["joint_positions"], atol=0.03, rtol=0)


def test_a_humanoid_bends_in_mujoco_as_in_physx(env_of):
    # PhysX turns a joint of three hinges by one rotation, MuJoCo by one hinge after the other: the same, one at a time.
    seen = []
    for engine in ("physx", "mujoco"):
        env = env_of("task=Humanoid", "num_envs=1", f"engine={engine}")
        view, poses = env.task.robots, []
        view.set_world_poses(torch.tensor([[0.0, 0.0, 5.0]]), torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        view.set_velocities(torch.zeros(1, 6))
        for dof in range(21):
            view.set_joint_positions(torch.nn.functional.one_hot(torch.tensor([dof]), 21) * -0.3)
            env.engine.update_kinematics()
            poses.append(torch.cat(view.get_body_poses(), dim=-1))
        view.set_joint_velocities(torch.zeros(1, 21))
        view.set_joint_efforts(torch.linspace(-5.0, 5.0, 21)[None])
        env.engine.step(12)
        seen.append((torch.stack(poses), view.get_joint_positions()))
    (poses, joints), (there, joints_there) = seen
    torch.testing.assert_close(there[..., :3], poses[..., :3], atol=1e-5, rtol=0.0)
    assert joints.abs().max() > 0.1
    torch.testing.assert_close(joints_there, joints, atol=0.03, rtol=0.0)


def test_the_heavier_robot_does_not_stay_together(env_of):
    def prepare(env):
        env.engine.model.body_mass[:] *= 3.0
        mujoco.mj_setConst(env.engine.model, env.engine.data)

    physx = fly(env_of("task=Ant", "num_envs=1"), 12)[-1]
    there = fly(env_of("task=Ant", "num_envs=1", "engine=mujoco"), 12, prepare)[-1]
    assert (there["joint_positions"] - physx["joint_positions"]).abs().max() > 0.03


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


def test_a_cube_lies_on_a_table_beside_an_arm_that_has_no_weight(env_of):
    env = env_of("task=FrankaLift", "num_envs=1", "engine=mujoco")
    task, model = env.task, env.engine.model
    cube, table = model.body("Cube/cube"), model.body("Table/table")
    assert cube.mass[0] == pytest.approx(0.125) and cube.inertia == pytest.approx([0.125 * 0.05**2 / 6] * 3)
    assert table.dofnum[0] == 0 and model.geom_friction[model.geom_bodyid == cube.id, 0].tolist() == [1.0]
    assert [task.cubes.prim_paths, task.cubes.count] == [["/World/envs/env_0/Cube/cube"], 1]
    env.reset()
    start = task.robot.get_joint_positions()
    task.cubes.set_world_poses(torch.tensor([[0.5, 0.2, 0.1]]), torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    task.cubes.set_velocities(torch.tensor([[0.1, 0.2, 0.3, 1.0, 2.0, 3.0]]))
    torch.testing.assert_close(task.cubes.get_velocities(), torch.tensor([[0.1, 0.2, 0.3, 1.0, 2.0, 3.0]]))
    env.engine.step(100)
    assert task.cubes.get_world_poses()[0][0, 2].item() == pytest.approx(0.025, abs=1e-3)
    assert task.cubes.get_velocities().abs().max() < 0.01
    torch.testing.assert_close(task.robot.get_joint_positions()[:, task.arm], start[:, task.arm], atol=1e-3, rtol=0.0)
    with pytest.raises(NotImplementedError, match="changes no RIGID_BODY_MASS"):
        env.engine.write_property(task.cubes, "RIGID_BODY_MASS", "masses", torch.ones(1, 1), torch.tensor([0]))


def test_a_drawer_of_a_second_robot_slides_with_what_is_in_it(env_of):
    """The drawer passes through its own cabinet, as in PhysX, and not through the props."""
    env = env_of("task=FrankaCabinet", "num_envs=1", "engine=mujoco")
    env.reset()
    task = env.task
    env.engine.step(30)
    before = task.props.get_world_poses()[0].clone()
    assert task.props.count == 4 and before[:, 2].min() > 0.65
    task.cabinets.set_joint_efforts(torch.tensor([[0.0, 0.0, 0.0, 5.0]]))
    env.engine.step(120)
    opening = task.cabinets.get_joint_positions()[0, task.drawer].item()
    moved = task.props.get_world_poses()[0] - before
    assert opening > 0.2 and (moved[:, 0] > 0.1).all() and moved[:, 2].abs().max() < 0.02
    assert task.cabinets.frame_poses("drawer_top")[0][0, 0].item() == pytest.approx(0.0515 + opening, abs=1e-4)


def test_links_are_turned_by_physxs_quaternions(env_of):
    """A little finger of the hand has the one of the two that does not follow from MuJoCo's file."""
    turns = []
    for engine in ("physx", "mujoco"):
        env = env_of("task=ShadowHand", "num_envs=1", f"engine={engine}")
        task = env.task
        task.robot.set_joint_positions(0.5 * (task.lower + task.upper).unsqueeze(0))
        env.engine.update_kinematics()
        turns.append(env.engine.link_poses(task.robot)[1].clone())
    torch.testing.assert_close(turns[1], turns[0], atol=1e-5, rtol=0.0)


def test_a_body_is_made_of_what_usd_says(lopsided):
    """A wedge of 567 kg/m^3, and what has no shape and no mass."""
    engine, _ = lopsided(start=False)
    mesh = UsdGeom.Mesh.Define(engine.stage, "/World/envs/env_0/Thing/thing/mesh")
    mesh.CreatePointsAttr([(0, 0, 0), (0.3, 0, 0), (0, 0.3, 0), (0, 0, 0.3)])
    mesh.CreateFaceVertexCountsAttr([3, 3, 3, 3])
    mesh.CreateFaceVertexIndicesAttr([0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3])
    UsdPhysics.CollisionAPI.Apply(mesh.GetPrim())
    thing = UsdGeom.Xform.Define(engine.stage, "/World/envs/env_0/Thing/thing")
    thing.AddTranslateOp().Set((1.0, 2.0, 3.0))
    UsdPhysics.RigidBodyAPI.Apply(thing.GetPrim())
    UsdPhysics.MassAPI.Apply(thing.GetPrim()).CreateDensityAttr(567.0)
    engine.clone_environments(1, 1.0)
    engine.reset()
    things = engine.scene.add(mujoco_engine.RigidPrimView("/World/envs/.*/Thing/thing", name="things"))
    assert things.get_world_poses()[0].tolist() == [[1.0, 2.0, 3.0]]
    body = engine.model.body("Thing/thing")
    assert body.mass[0] == pytest.approx(567.0 * 0.3**3 / 6)
    assert body.ipos == pytest.approx([0.075] * 3)
    assert engine.model.geom_friction[-1, 0] == 0.5

    engine, _ = lopsided(start=False)
    UsdPhysics.RigidBodyAPI.Apply(UsdGeom.Xform.Define(engine.stage, "/World/envs/env_0/Thing/thing").GetPrim())
    engine.clone_environments(1, 1.0)
    with pytest.raises(MyriadError, match=r"MuJoCo cannot put the task's robots and bodies together: .*[Mm]ass"):
        engine.reset()
