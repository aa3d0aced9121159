# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
# (pxr's modules are compiled and carry no types)
"""The robots in assets/: their numbers, by hand; USD against MJCF; and what standalone PhysX makes of them."""

import json
import math
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdPhysics

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "assets"
ROBOTS = {
    "ant": "Ant",
    "balance_bot": "BalanceBot",
    "ball": "Ball",
    "bench": "Bench",
    "big_cube": "BigCube",
    "block": "Block",
    "cabinet": "Cabinet",
    "cartpole": "Cartpole",
    "crazyflie": "Crazyflie",
    "cube": "Cube",
    "egg": "Egg",
    "humanoid": "Humanoid",
    "ingenuity": "Ingenuity",
    "pen": "Pen",
    "prop": "Prop",
    "quadcopter": "Quadcopter",
    "table": "Table",
}
DOFS = dict(zip(ROBOTS, (8, 6, 0, 0, 0, 0, 4, 2, 4, 0, 0, 21, 4, 0, 0, 8, 0), strict=True))
_HEIGHTS = (
    0.5,
    0.36 * math.sqrt(2) + 0.05,
    2.0,
    None,
    0.035,
    0.025,
    None,
    None,
    1.0,
    0.025,
    0.04,
    1.34,
    1.0,
    0.108,
    0.04,
    1.0,
    None,
)
HEIGHTS = dict(zip(ROBOTS, _HEIGHTS, strict=True))

LEGS = ["front_left_leg", "front_right_leg", "left_back_leg", "right_back_leg"]
FEET = ["front_left_foot", "front_right_foot", "left_back_foot", "right_back_foot"]
SIGNS = [1, -1, -1, 1]  # of the ankles: positive lowers the foot in front left and right back

# 5 kg/m^3 times 4/3 pi r^3 for the ball, times pi r^2 (length + 4/3 r) for a capsule
BALL = 5 * 4 / 3 * math.pi * 0.25**3  # 0.32725 kg
LEG = 5 * math.pi * 0.08**2 * (0.2 * math.sqrt(2) + 4 / 3 * 0.08)  # 0.03916 kg, and so is each hip on the torso
FOOT = 5 * math.pi * 0.08**2 * (0.4 * math.sqrt(2) + 4 / 3 * 0.08)  # 0.06759 kg
ANT_MASSES = {"torso": BALL + 4 * LEG, **dict.fromkeys(LEGS, LEG), **dict.fromkeys(FEET, FOOT)}


def open_usd(name: str) -> Usd.Stage:
    return Usd.Stage.Open(str(ASSETS / name / f"{name}.usda"))


def open_mjcf(name: str) -> ET.Element:
    return ET.parse(ASSETS / name / f"{name}.xml").getroot()


def numbers(text: str) -> list[float]:
    return [float(part) for part in text.split()]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("robots") / "measured.json"
    run = [sys.executable, str(Path(__file__).with_name("measure.py")), str(out)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(out.read_text())


def test_build_writes_the_committed_bytes(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, str(ASSETS / "build.py"), str(tmp_path)], check=True, capture_output=True, env=env)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert [str(path) for path in written] == [f"{name}/{name}.{kind}" for name in ROBOTS for kind in ("usda", "xml")]
    for path in written:
        assert (tmp_path / path).read_bytes() == (ASSETS / path).read_bytes(), f"{path}: run assets/build.py again"


# --------------------------------------------------------------------------------------------------- USD, by hand


@pytest.mark.parametrize("name", ROBOTS)
def test_stage_is_z_up_in_metres_and_kilograms(name: str) -> None:
    stage = open_usd(name)
    assert UsdGeom.GetStageUpAxis(stage) == "Z"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert UsdPhysics.GetStageKilogramsPerUnit(stage) == 1
    assert stage.GetDefaultPrim().GetPath() == f"/{ROBOTS[name]}"


@pytest.mark.parametrize(("name", "root"), [("ant", "/Ant/torso"), ("cartpole", "/Cartpole")])
def test_articulation_root_is_where_the_views_look(name: str, root: str) -> None:
    stage = open_usd(name)
    roots = [p for p in stage.Traverse() if p.HasAPI(UsdPhysics.ArticulationRootAPI)]
    assert [str(p.GetPath()) for p in roots] == [root]
    assert roots[0].GetAttribute("physxArticulation:enabledSelfCollisions").Get() is False
    assert roots[0].GetAttribute("physxArticulation:solverPositionIterationCount").Get() == 4
    assert roots[0].GetAttribute("physxArticulation:solverVelocityIterationCount").Get() == 0


@pytest.mark.parametrize(
    ("name", "masses"), [("ant", ANT_MASSES), ("cartpole", {"rail": 1.0, "cart": 1.0, "pole": 1.0})]
)
def test_masses(name: str, masses: dict[str, float]) -> None:
    stage = open_usd(name)
    bodies = [p for p in stage.Traverse() if p.HasAPI(UsdPhysics.RigidBodyAPI)]
    assert {p.GetName(): UsdPhysics.MassAPI(p).GetMassAttr().Get() for p in bodies} == pytest.approx(masses, rel=1e-6)


def test_ant_weighs_911_grams() -> None:
    assert sum(ANT_MASSES.values()) == pytest.approx(0.91088, abs=1e-5)


def test_ant_shapes() -> None:
    stage = open_usd("ant")
    shapes = [p for p in stage.Traverse() if p.IsA(UsdGeom.Gprim)]
    assert all(p.HasAPI(UsdPhysics.CollisionAPI) for p in shapes)
    assert UsdGeom.Sphere(stage.GetPrimAtPath("/Ant/torso/torso_geom")).GetRadiusAttr().Get() == 0.25
    capsules = {p.GetName(): UsdGeom.Capsule(p) for p in shapes if p.IsA(UsdGeom.Capsule)}
    assert len(capsules) == 4 + 8
    for name, capsule in capsules.items():
        reach = 0.4 if "foot" in name else 0.2  # along x and along y
        assert capsule.GetRadiusAttr().Get() == 0.08
        assert capsule.GetHeightAttr().Get() == pytest.approx(math.hypot(reach, reach))


def test_ant_stands_on_feet_lowered_by_45_degrees() -> None:
    stage = open_usd("ant")
    for foot, (x, y) in zip(FEET, [(1, 1), (-1, 1), (-1, -1), (1, -1)], strict=True):
        pose = UsdGeom.Xformable(stage.GetPrimAtPath(f"/Ant/{foot}")).ComputeLocalToWorldTransform(0)
        # ankle at (0.4, 0.4); a limb of 0.4 sqrt(2), lowered by 45 degrees, reaches 0.4 down and 0.4/sqrt(2) in x and y
        reach = 0.4 + 0.4 / math.sqrt(2)
        tip = pose.Transform(Gf.Vec3d(0.4 * x, 0.4 * y, 0))
        assert tuple(tip) == pytest.approx((reach * x, reach * y, -0.4), abs=1e-6)


def test_cartpole_shapes() -> None:
    stage = open_usd("cartpole")
    sizes = {"rail": (0.03, 8, 0.03), "cart": (0.2, 0.25, 0.2), "pole": (0.04, 0.06, 1)}
    for body, size in sizes.items():
        prim = stage.GetPrimAtPath(f"/Cartpole/{body}/{body}_geom")
        assert UsdGeom.Cube(prim).GetSizeAttr().Get() == 1
        assert tuple(prim.GetAttribute("xformOp:scale").Get()) == pytest.approx(size)
        assert not prim.HasAPI(UsdPhysics.CollisionAPI)
    pole = stage.GetPrimAtPath("/Cartpole/pole/pole_geom")
    assert tuple(pole.GetAttribute("xformOp:translate").Get()) == (0, 0, 0.47)


def test_the_eggs_balls_are_an_ellipsoid_to_a_millimetre() -> None:
    """From the middle, in each direction: the farthest that a ball reaches, by the ellipsoid's radius."""
    stage = open_usd("egg")
    spheres = [UsdGeom.Sphere(p) for p in stage.Traverse() if p.HasAPI(UsdPhysics.CollisionAPI)]
    assert len(spheres) == 5
    angle = np.linspace(0.0, math.pi, 181)
    radius, reach = 1.0 / np.hypot(np.sin(angle) / 0.03, np.cos(angle) / 0.04), np.zeros_like(angle)
    for sphere in spheres:
        along, size = sphere.GetPrim().GetAttribute("xformOp:translate").Get()[2], sphere.GetRadiusAttr().Get()
        reach = np.maximum(reach, along * np.cos(angle) + np.sqrt(size**2 - (along * np.sin(angle)) ** 2))
    assert (reach <= radius + 1e-8).all()
    assert (reach >= radius - 0.9e-3).all()
    assert reach[[0, 90, 180]] == pytest.approx([0.04, 0.03, 0.04])


def joints_of(stage: Usd.Stage) -> list[UsdPhysics.Joint]:
    """Return the joints that have degrees of freedom."""
    return [UsdPhysics.Joint(p) for p in stage.Traverse() if p.HasAPI(UsdPhysics.DriveAPI)]


def dofs_of(joint: UsdPhysics.Joint) -> dict[str, tuple[str, Gf.Vec3d, list[float]]]:
    """Return a joint's degrees of freedom: instance of the drive, axis in the body's frame, limits in degrees or m.

    PhysX calls those of a joint of many by the joint's name and the number of the axis.
    """
    prim, name = joint.GetPrim(), joint.GetPrim().GetName()
    turn = Gf.Rotation(joint.GetLocalRot0Attr().Get())
    axes = [turn.TransformDir(Gf.Vec3d(*(float(i == j) for j in range(3)))) for i in range(3)]
    if prim.GetTypeName() != "PhysicsJoint":
        kind = "angular" if prim.IsA(UsdPhysics.RevoluteJoint) else "linear"
        limits = [prim.GetAttribute(f"physics:{side}Limit").Get() for side in ("lower", "upper")]
        return {name: (kind, axes[0], limits)}
    ends = [[prim.GetAttribute(f"limit:rot{axis}:physics:{side}").Get() for side in ("low", "high")] for axis in "XYZ"]
    return {f"{name}:{i}": (f"rot{axis}", axes[i], ends[i]) for i, axis in enumerate("XYZ") if ends[i][0] < ends[i][1]}


@pytest.mark.parametrize("name", ROBOTS)
def test_joint_frames_of_both_bodies_meet_at_the_initial_position(name: str) -> None:
    stage = open_usd(name)

    def frame(joint: UsdPhysics.Joint, side: int) -> Gf.Matrix4d:
        (body,) = (joint.GetBody0Rel() if side == 0 else joint.GetBody1Rel()).GetTargets()
        point = (joint.GetLocalPos0Attr() if side == 0 else joint.GetLocalPos1Attr()).Get()
        turn = (joint.GetLocalRot0Attr() if side == 0 else joint.GetLocalRot1Attr()).Get()
        local = Gf.Matrix4d(Gf.Rotation(turn), Gf.Vec3d(point))
        return local * UsdGeom.Xformable(stage.GetPrimAtPath(body)).ComputeLocalToWorldTransform(0)

    joints = joints_of(stage)
    assert sum(len(dofs_of(joint)) for joint in joints) == DOFS[name]
    anchors = [UsdPhysics.Joint(p) for p in stage.Traverse() if p.IsA(UsdPhysics.SphericalJoint)]
    assert len(anchors) == (3 if name == "balance_bot" else 0)
    for joint in [*joints, *anchors]:
        between = frame(joint, 1) * frame(joint, 0).GetInverse()
        state = joint.GetPrim().GetAttribute("state:angular:physics:position")
        degrees = state.Get() if state else 0.0
        expected = Gf.Matrix4d(1).SetRotate(Gf.Rotation(Gf.Vec3d(1, 0, 0), degrees))
        assert Gf.IsClose(between, expected, 1e-6), joint.GetPath()


# --------------------------------------------------------------------------------------------------- USD and MJCF


@pytest.mark.parametrize("name", ROBOTS)
def test_usd_and_mjcf_agree_on_bodies(name: str) -> None:
    stage, mjcf = open_usd(name), open_mjcf(name)
    bodies = {body.get("name"): body for body in mjcf.iter("body")}
    prims = {p.GetName(): p for p in stage.Traverse() if p.HasAPI(UsdPhysics.RigidBodyAPI)}
    prims.pop("ground", None)  # what the table's feet are held by
    assert list(prims) == list(bodies)
    for body_name, body in bodies.items():
        prim, geoms = prims[body_name], {geom.get("name"): geom for geom in body.findall("geom")}
        mass, inertial = sum(float(geom.attrib["mass"]) for geom in geoms.values()), body.find("inertial")
        if inertial is not None:
            assert float(inertial.attrib["mass"]) == pytest.approx(mass, rel=1e-6)
            moments = UsdPhysics.MassAPI(prim).GetDiagonalInertiaAttr().Get()
            assert numbers(inertial.attrib["diaginertia"]) == pytest.approx(list(moments))
        assert mass == pytest.approx(UsdPhysics.MassAPI(prim).GetMassAttr().Get(), rel=1e-6)
        assert [child.GetName() for child in prim.GetChildren()] == list(geoms)
        for shape in prim.GetChildren():
            geom = geoms[shape.GetName()]
            size, pose = numbers(geom.attrib["size"]), UsdGeom.Xformable(shape).GetLocalTransformation()
            colour = shape.GetAttribute("primvars:displayColor").Get()[0]
            assert numbers(geom.attrib["rgba"])[:3] == pytest.approx(list(colour))
            if shape.IsA(UsdGeom.Capsule):
                half = shape.GetAttribute("height").Get() / 2
                ends = [*pose.Transform(Gf.Vec3d(-half, 0, 0)), *pose.Transform(Gf.Vec3d(half, 0, 0))]
                assert numbers(geom.attrib["fromto"]) == pytest.approx(ends, abs=1e-6)
                assert size == [shape.GetAttribute("radius").Get()]
                continue
            assert numbers(geom.attrib["pos"]) == pytest.approx(list(pose.ExtractTranslation()))
            if shape.IsA(UsdGeom.Cube):
                assert size == pytest.approx([s / 2 for s in shape.GetAttribute("xformOp:scale").Get()])
            elif shape.IsA(UsdGeom.Cylinder):
                assert shape.GetAttribute("axis").Get() == "Z"
                assert size == [shape.GetAttribute("radius").Get(), shape.GetAttribute("height").Get() / 2]
            else:
                assert size == [shape.GetAttribute("radius").Get()]


@pytest.mark.parametrize("name", ROBOTS)
def test_usd_and_mjcf_agree_on_joints(name: str) -> None:
    stage, mjcf = open_usd(name), open_mjcf(name)
    hinges = {j.get("name"): (body, j) for body in mjcf.iter("body") for j in body.findall("joint")}
    parents = {child.get("name"): body.get("name") for body in mjcf.iter("body") for child in body.findall("body")}
    dofs = {dof: (joint, *rest) for joint in joints_of(stage) for dof, rest in dofs_of(joint).items()}
    assert list(dofs) == list(hinges)
    initial = []
    for dof, (joint, kind, axis, limits) in dofs.items():
        (body, element), prim, per_unit = hinges[dof], joint.GetPrim(), 1.0 if kind == "linear" else 180 / math.pi
        assert element.get("type") == ("slide" if kind == "linear" else "hinge")
        assert joint.GetBody1Rel().GetTargets()[0].name == body.get("name")
        assert joint.GetBody0Rel().GetTargets()[0].name == parents[body.get("name")]
        assert list(joint.GetLocalPos0Attr().Get()) == pytest.approx(numbers(body.attrib["pos"]), abs=1e-7)
        assert Gf.IsClose(axis, Gf.Vec3d(*numbers(element.attrib["axis"])).GetNormalized(), 1e-6)
        given = numbers(element.attrib["range"]) if "range" in element.attrib else [-math.inf, math.inf]
        assert limits == pytest.approx(given, abs=1e-3)
        drive = UsdPhysics.DriveAPI(prim, kind)
        damping, stiffness = drive.GetDampingAttr().Get() * per_unit, drive.GetStiffnessAttr().Get() * per_unit
        assert damping == pytest.approx(float(element.attrib["damping"]), rel=1e-6)
        assert stiffness == pytest.approx(float(element.get("stiffness", "0")), rel=1e-6)
        armature = prim.GetAttribute(f"physxJointAxis:{kind}:armature").Get()
        assert armature == pytest.approx(float(element.attrib["armature"]))
        initial.append(prim.GetAttribute(f"state:{kind}:physics:position").Get() / per_unit)
    root = [] if HEIGHTS[name] is None else [0, 0, HEIGHTS[name], 1, 0, 0, 0]
    (key,) = mjcf.iter("key")
    assert numbers(key.attrib["qpos"]) == pytest.approx(root + initial)
    assert [motor.get("joint") for motor in mjcf.iter("motor")] == list(hinges)


# --------------------------------------------------------------------------------------------------------- PhysX


def test_every_property_belongs_to_a_schema(measured: dict[str, Any]) -> None:
    assert measured["undefined"] == []


def test_physx_reads_the_ant(measured: dict[str, Any]) -> None:
    ant = measured["ant"]
    assert (ant["count"], ant["fixed_base"]) == (1, False)
    assert ant["dof_names"] == LEGS + FEET
    assert ant["body_names"] == ["torso", *LEGS, *FEET]
    assert ant["BODY_MASS"] == pytest.approx([ANT_MASSES[body] for body in ant["body_names"]], rel=1e-5)
    assert ant["DOF_POSITION"] == pytest.approx([0] * 4 + [sign * math.pi / 4 for sign in SIGNS], abs=1e-6)
    hip, ankle = math.radians(40), (math.radians(30), math.radians(100))
    limits = [[-hip, hip]] * 4 + [sorted(sign * a for a in ankle) for sign in SIGNS]
    for found, limit in zip(ant["DOF_LIMIT"], limits, strict=True):
        assert found == pytest.approx(limit, rel=1e-5)
    assert ant["DOF_STIFFNESS"] == [0] * 8
    assert ant["DOF_DAMPING"] == pytest.approx([0.1] * 8)
    assert ant["DOF_ARMATURE"] == pytest.approx([0.01] * 8)
    assert ant["DOF_FRICTION_PROPERTIES"] == [[0, 0, 0]] * 8
    assert ant["friction"] == [[1, 1, 0]] * 13
    assert ant["ROOT_POSE"] == pytest.approx([3, 0, 1, 0, 0, 0, 1], abs=1e-6)
    # a foot's spin about its own length: half balls and cylinder, about their common axis
    cylinder, ball = 5 * math.pi * 0.08**2 * 0.4 * math.sqrt(2), 5 * 4 / 3 * math.pi * 0.08**3
    spin = 0.08**2 * (cylinder / 2 + ball * 2 / 5)
    principal = np.linalg.eigvalsh(np.reshape(ant["BODY_INERTIA"][5], (3, 3)))
    assert principal[0] == pytest.approx(spin, rel=1e-3)


def test_physx_reads_the_cartpole(measured: dict[str, Any]) -> None:
    cartpole = measured["cartpole"]
    assert (cartpole["count"], cartpole["fixed_base"]) == (1, True)
    assert cartpole["dof_names"] == ["cartJoint", "poleJoint"]
    assert cartpole["body_names"] == ["rail", "cart", "pole"]
    assert cartpole["BODY_MASS"] == [1, 1, 1]
    assert cartpole["BODY_COM_POSE"][2][:3] == pytest.approx([0, 0, 0.47])
    assert cartpole["BODY_INERTIA"][2][0] == pytest.approx((0.06**2 + 1) / 12)
    assert cartpole["DOF_POSITION"] == [0, 0]
    assert cartpole["DOF_LIMIT"][0] == [-4, 4]
    assert cartpole["DOF_LIMIT"][1][1] > 1e30  # turns for ever
    assert cartpole["DOF_STIFFNESS"] == cartpole["DOF_DAMPING"] == cartpole["DOF_ARMATURE"] == [0, 0]
    assert cartpole["DOF_MAX_FORCE"] == [1000, 1000]
    assert cartpole["ROOT_POSE"] == [23, 0, 2, 0, 0, 0, 1]  # stays where the task puts it


def test_dropped_ant_comes_to_rest_on_its_feet(measured: dict[str, Any]) -> None:
    rest = measured["ant"]["rest"]
    x, y, z, qx, qy, _, _ = rest["ROOT_POSE"]
    assert 0.2 < z < 0.7
    assert 1 - 2 * (qx**2 + qy**2) > 0.99  # how far up the torso's z axis points
    assert math.hypot(x - 3, y) < 0.5
    assert rest["ROOT_VELOCITY"] + rest["DOF_VELOCITY"] == pytest.approx([0] * 14, abs=0.05)
    # Nothing holds the ankles but their limits, 30 degrees: 0.4 sqrt(2) sin 30 + 0.08 under the torso's middle
    assert z == pytest.approx(0.4 * math.sqrt(2) * 0.5 + 0.08, abs=0.01)


def accelerations(angle: float, rate: float, push: float = 0.0) -> tuple[float, float]:
    """Solve Lagrange's equations of the Cartpole for the cart's and the pole's acceleration (m/s^2, rad/s^2).

    With the cart at y and the pole turned by a about +x, the pole's centre of mass is at y - l sin a, l cos a:
    2 m y'' - m l cos(a) a'' + m l sin(a) a'^2 = push;  (I + m l^2) a'' - m l cos(a) y'' = m g l sin(a).
    """
    m, length, inertia, g = 1.0, 0.47, (0.06**2 + 1) / 12, 9.81
    a, b, c = 2 * m, -m * length * math.cos(angle), inertia + m * length**2
    p = push - m * length * math.sin(angle) * rate**2
    q = m * g * length * math.sin(angle)
    det = a * c - b * b
    return (c * p - b * q) / det, (a * q - b * p) / det


def test_pole_begins_to_fall_as_lagrange_says(measured: dict[str, Any]) -> None:
    cart, pole = accelerations(0.02, 0.0)
    assert (cart, pole) == pytest.approx((0.1117, 0.4751), abs=2e-4)
    assert measured["cartpole"]["velocity_after_one_step"] == pytest.approx([cart / 120, pole / 120], rel=0.01)


def test_pole_falls_as_lagrange_says(measured: dict[str, Any]) -> None:
    state, dt = [0.0, 0.02, 0.0, 0.0], 1e-4
    for _ in range(10000):  # 1 s, semi-implicit Euler in steps so small that they do not matter
        cart, pole = accelerations(state[1], state[3])
        state[2:] = state[2] + cart * dt, state[3] + pole * dt
        state[:2] = state[0] + state[2] * dt, state[1] + state[3] * dt
    assert state[1] > 1  # it really fell
    assert measured["cartpole"]["fall"][-1] == pytest.approx(state[:2], rel=0.05)


def test_pushed_cart_accelerates_as_lagrange_says(measured: dict[str, Any]) -> None:
    angle = measured["cartpole"]["fall"][-1][1]
    before, after = measured["cartpole"]["push"]
    cart, pole = accelerations(angle, before[1], push=400.0)
    gained = [(b - a) * 120 for a, b in zip(before, after, strict=True)]
    assert gained == pytest.approx([cart, pole], rel=0.03)
