#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write our robots as USD (for PhysX) and as MJCF (for MuJoCo), both from the one table of numbers in robots.py.

    python assets/build.py [folder]

The text is written here, without pxr, so that the bytes depend on no library's version; the tests open it with pxr,
PhysX and an XML parser. README.md names the source of every number.
"""

import math
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import indent

from robots import ROBOTS, Body, Box, Capsule, Cylinder, Geom, Joint, Joints, Robot, Sphere, Vector

HERE = Path(__file__).resolve().parent
Quaternion = tuple[float, float, float, float]  # w, x, y, z

# How each kind of joint is called by USD (prim type, drive axis) and by MJCF.
USD_JOINT = {"revolute": ("PhysicsRevoluteJoint", "angular"), "prismatic": ("PhysicsPrismaticJoint", "linear")}
GROUND = "ground"  # the body that anchors hold to
MJCF_JOINT = {"revolute": "hinge", "prismatic": "slide"}


# ---------------------------------------------------------------------------------------------------- geometry


def unit(v: Sequence[float]) -> Vector:
    """Scale v to length 1."""
    length = math.hypot(*v)
    return (v[0] / length, v[1] / length, v[2] / length)


def rotation_from_x(direction: Sequence[float]) -> Quaternion:
    """Turn the x axis to `direction` by the shortest way; `direction` may not be -x, which has no shortest way."""
    x, y, z = unit(direction)
    w = math.sqrt((1 + x) / 2)  # half-angle formula; the turning axis is x cross direction = (0, -z, y)
    return (w, 0.0, -z / (2 * w), y / (2 * w))


def rotation_from_axes(x: Vector, y: Vector, z: Vector) -> Quaternion:
    """Turn the frame's axes to three that are at right angles and right-handed.

    Of the quaternion's products (1 + trace) / 4 and so on, which a rotation matrix holds, the largest is divided by.
    """
    squares = (
        1 + x[0] + y[1] + z[2], 1 + x[0] - y[1] - z[2], 1 - x[0] + y[1] - z[2], 1 - x[0] - y[1] + z[2]
    )  # fmt: skip
    sums = (y[2] - z[1], z[0] - x[2], x[1] - y[0]), (x[1] + y[0], x[2] + z[0], y[2] + z[1])
    (wx, wy, wz), (xy, xz, yz) = sums
    rows = ((squares[0], wx, wy, wz), (wx, squares[1], xy, xz), (wy, xy, squares[2], yz), (wz, xz, yz, squares[3]))
    largest = max(range(4), key=lambda i: squares[i])
    w, a, b, c = (value / (2 * math.sqrt(squares[largest])) for value in rows[largest])
    return (w, a, b, c)


def rotation_about(axis: Sequence[float], degrees: float) -> Quaternion:
    """Turn by `degrees` about `axis`."""
    half = math.radians(degrees) / 2
    x, y, z = (math.sin(half) * a for a in unit(axis))
    return (math.cos(half), x, y, z)


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """Turn by b, then by a (Hamilton's product)."""
    (w, x, y, z), (s, u, v, t) = a, b
    return (
        w * s - x * u - y * v - z * t,
        w * u + x * s + y * t - z * v,
        w * v - x * t + y * s + z * u,
        w * t + x * v - y * u + z * s,
    )


def cross(a: Vector, b: Vector) -> Vector:
    """Return the vector product."""
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def rotate(q: Quaternion, v: Vector) -> Vector:
    """Turn v by q."""
    w, x, y, z = q
    _, a, b, c = multiply(multiply(q, (0.0, *v)), (w, -x, -y, -z))
    return (a, b, c)


def initial_poses(robot: Robot) -> dict[str, tuple[Vector, Quaternion]]:
    """Place every body in the root's frame, its joint at the initial position."""
    world: tuple[Vector, Quaternion] = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0))
    poses: dict[str, tuple[Vector, Quaternion]] = {}
    for body in robot.bodies:
        position, rotation = poses[body.parent] if body.parent else world
        x, y, z = (p + o for p, o in zip(position, rotate(rotation, body.origin), strict=True))
        for hinge in body.hinges:
            if hinge.initial:  # no sliding joint of ours starts away from zero
                rotation = multiply(rotation, rotation_about(hinge.axis, hinge.initial))
        poses[body.name] = ((x, y, z), rotation)
    return poses


# ---------------------------------------------------------------------------------------------------------- USD


def num(value: float) -> str:
    """Write a number so that reading it as float32 loses nothing and 0 has no sign."""
    return f"{round(value, 12) + 0.0:.9g}"


def vec(values: Iterable[float]) -> str:
    """Write a USD vector or quaternion."""
    return f"({', '.join(map(num, values))})"


def prim(kind: str, name: str, apis: Sequence[str], lines: Iterable[str], children: Iterable[str] = ()) -> str:
    """Write one prim with its applied schemas, its properties and the prims inside it."""
    names = ", ".join(f'"{api}"' for api in apis)
    applied = f" (\n    prepend apiSchemas = [{names}]\n)" if apis else ""
    inside = indent("\n\n".join(filter(None, ["\n".join(lines), *children])), "    ")
    return f'def {kind} "{name}"{applied}\n{{\n{inside}\n}}'


def transform(position: Vector, rotation: Quaternion | None, scale: Vector | None = None) -> list[str]:
    """Write translate, orient and scale, leaving out what is not given."""
    ops = [("double3 xformOp:translate", vec(position))]
    if rotation:
        ops.append(("quatf xformOp:orient", vec(rotation)))
    if scale:
        ops.append(("float3 xformOp:scale", vec(scale)))
    order = ", ".join(f'"{name.split()[1]}"' for name, _ in ops)
    return [*(f"{name} = {value}" for name, value in ops), f"uniform token[] xformOpOrder = [{order}]"]


def usd_geom(geom: Geom, collides: bool) -> str:
    """Write one shape: what is seen and, if the robot collides at all, what collides."""
    match geom:
        case Sphere():
            kind, half = "Sphere", (geom.radius,) * 3
            lines = [f"double radius = {num(geom.radius)}", *transform(geom.center, None)]
        case Capsule():
            kind, half = "Capsule", (geom.length / 2 + geom.radius, geom.radius, geom.radius)
            along = [b - a for a, b in zip(geom.start, geom.end, strict=True)]
            lines = [
                'uniform token axis = "X"',
                f"double height = {num(geom.length)}",
                f"double radius = {num(geom.radius)}",
                *transform(geom.center, rotation_from_x(along)),
            ]
        case Cylinder():
            kind, half = "Cylinder", (geom.radius, geom.radius, geom.height / 2)
            lines = [
                'uniform token axis = "Z"',
                f"double height = {num(geom.height)}",
                f"double radius = {num(geom.radius)}",
                *transform(geom.center, None),
            ]
        case Box():
            kind, half = "Cube", (0.5, 0.5, 0.5)
            lines = ["double size = 1", *transform(geom.center, None, geom.size)]
    extent = f"float3[] extent = [{vec(-h for h in half)}, {vec(half)}]"
    colour = f"color3f[] primvars:displayColor = [{vec(geom.colour)}]"
    return prim(kind, geom.name, ["PhysicsCollisionAPI"] if collides else [], [extent, colour, *lines])


def usd_body(robot: Robot, body: Body, position: Vector, rotation: Quaternion) -> str:
    """Write one rigid body, its pose in the robot's frame."""
    apis = ["PhysicsRigidBodyAPI", "PhysxRigidBodyAPI", "PhysicsMassAPI"]
    lines = [
        f"float physics:mass = {num(body.mass)}",
        "float physxRigidBody:angularDamping = 0",  # PhysX's own default, 0.05, is nobody's robot
        "float physxRigidBody:linearDamping = 0",
    ]
    if robot.collides:
        lines.append(f"float physxRigidBody:maxDepenetrationVelocity = {num(robot.max_depenetration_velocity)}")
    if body.inertia or not robot.collides:  # PhysX has no shapes to compute these from, or not those meant
        center, inertia = mass_properties(body)
        lines += [
            f"point3f physics:centerOfMass = {vec(center)}",
            f"float3 physics:diagonalInertia = {vec(inertia)}",
            "quatf physics:principalAxes = (1, 0, 0, 0)",
        ]
    if robot.bodies == (body,):
        iterations = (robot.position_iterations, robot.velocity_iterations)
        lines += [f"int physxRigidBody:solver{kind}IterationCount = {count}" for kind, count in
                  zip(("Position", "Velocity"), iterations, strict=True)]  # fmt: skip
        if robot.fixed_base:
            lines.append("bool physics:kinematicEnabled = 1")
    elif body.parent is None and not robot.fixed_base:
        apis = [*articulation_apis(), *apis]
        lines += articulation_lines(robot)
    shapes = [usd_geom(geom, robot.collides) for geom in body.geoms]
    shapes += [usd_geom(geom, collides=False) for geom in body.painted]
    return prim("Xform", body.name, apis, [*lines, *transform(position, rotation)], shapes)


def mass_properties(body: Body) -> tuple[Vector, Vector]:
    """Return centre of mass (m) and principal moments of inertia (kg m^2), along the body's axes."""
    if body.inertia:
        return (0.0, 0.0, 0.0), body.inertia
    (geom,) = body.geoms
    assert not isinstance(geom, Capsule)  # which need not lie along the axes
    return geom.center, geom.inertia(body.mass)


def articulation_apis() -> list[str]:
    """Name the schemas that make a prim the root of an articulation."""
    return ["PhysicsArticulationRootAPI", "PhysxArticulationAPI"]


def articulation_lines(robot: Robot) -> list[str]:
    """Write the settings of the articulation."""
    return [
        f"bool physxArticulation:enabledSelfCollisions = {int(robot.self_collisions)}",
        f"int physxArticulation:solverPositionIterationCount = {robot.position_iterations}",
        f"int physxArticulation:solverVelocityIterationCount = {robot.velocity_iterations}",
        f"float physxArticulation:sleepThreshold = {num(robot.sleep_threshold)}",
        f"float physxArticulation:stabilizationThreshold = {num(robot.stabilization_threshold)}",
    ]


def joint_frame(joint: Joint | Joints) -> Quaternion:
    """Return a joint's frame in its body: its hinges turn about the frame's axes, a single one about x."""
    if isinstance(joint, Joint):
        return rotation_from_x(joint.axis)
    x, second = unit(joint.hinges[0].axis), unit(joint.hinges[1].axis)
    if joint.skip_y:
        return rotation_from_axes(x, cross(second, x), second)
    return rotation_from_axes(x, second, cross(x, second))


def usd_joint(robot: Robot, body: Body, joint: Joint | Joints) -> str:
    """Write the joint that hangs `body` on its parent; it sits at the body's origin."""
    frame = vec(joint_frame(joint))
    lines = [
        f"rel physics:body0 = </{robot.name}/{body.parent}>",
        f"rel physics:body1 = </{robot.name}/{body.name}>",
        f"point3f physics:localPos0 = {vec(body.origin)}",
        f"quatf physics:localRot0 = {frame}",
        "point3f physics:localPos1 = (0, 0, 0)",
        f"quatf physics:localRot1 = {frame}",
    ]
    if isinstance(joint, Joint):
        kind, axis = USD_JOINT[joint.kind]
        lines.insert(0, 'uniform token physics:axis = "X"')
        if joint.limits:
            lower, upper = joint.limits
            lines += [f"float physics:lowerLimit = {num(lower)}", f"float physics:upperLimit = {num(upper)}"]
        apis, drive = usd_drive(joint, axis)
        return prim(kind, joint.name, apis, [*lines, *drive])
    apis = []
    locked = ("transX", "transY", "transZ", *(f"rot{axis}" for axis in "XYZ" if axis not in joint.axes))
    free = {f"rot{axis}": hinge for axis, hinge in zip(joint.axes, joint.hinges, strict=True)}
    limits = {axis: (1.0, -1.0) for axis in locked} | {axis: hinge.limits for axis, hinge in free.items()}
    for axis, between in limits.items():
        assert between
        apis.append(f"PhysicsLimitAPI:{axis}")
        lines += [f"float limit:{axis}:physics:{side} = {num(end)}"
                  for side, end in zip(("low", "high"), between, strict=True)]  # fmt: skip
    for axis, hinge in free.items():
        more, drive = usd_drive(hinge, axis)
        apis, lines = [*apis, *more], [*lines, *drive]
    return prim("PhysicsJoint", joint.name, apis, lines)


def usd_drive(joint: Joint, axis: str) -> tuple[list[str], list[str]]:
    """Return schemas and properties of the drive, armature and state of a degree of freedom, `axis` to USD."""
    # USD's angular drives are per degree, ours per radian
    stiffness, damping = (math.radians(k) if axis != "linear" else k for k in (joint.stiffness, joint.damping))
    return [f"PhysicsDriveAPI:{axis}", f"PhysxJointAxisAPI:{axis}", f"PhysicsJointStateAPI:{axis}"], [
        f'uniform token drive:{axis}:physics:type = "force"',
        f"float drive:{axis}:physics:stiffness = {num(stiffness)}",
        f"float drive:{axis}:physics:damping = {num(damping)}",
        *([f"float drive:{axis}:physics:maxForce = {num(joint.max_effort)}"] if joint.max_effort else []),
        f"float physxJointAxis:{axis}:armature = {num(joint.armature)}",
        f"float state:{axis}:physics:position = {num(joint.initial)}",
        f"float state:{axis}:physics:velocity = 0",
    ]


def usd_anchor(robot: Robot, body: Body, anchor: Vector) -> str:
    """Write the ball joint that holds a body's point where it is while the robot stands as authored.

    It closes a loop, which an articulation cannot have among its own joints.
    """
    position, rotation = initial_poses(robot)[body.name]
    place = (p + a for p, a in zip(position, rotate(rotation, anchor), strict=True))
    return prim("PhysicsSphericalJoint", f"{body.name}_ground", [], [
        f"rel physics:body0 = </{robot.name}/{GROUND}>",
        f"rel physics:body1 = </{robot.name}/{body.name}>",
        "bool physics:excludeFromArticulation = 1",
        f"point3f physics:localPos0 = {vec(place)}",
        "quatf physics:localRot0 = (1, 0, 0, 0)",
        f"point3f physics:localPos1 = {vec(anchor)}",
        "quatf physics:localRot1 = (1, 0, 0, 0)",
    ])  # fmt: skip


def to_usd(robot: Robot) -> str:
    """Write the robot as a USD text layer: z up, metres, kilograms, degrees."""
    bodies = [usd_body(robot, body, *initial_poses(robot)[body.name]) for body in robot.bodies]
    joints = [usd_joint(robot, body, body.joint) for body in robot.bodies if body.joint]
    if anchors := [usd_anchor(robot, body, body.anchor) for body in robot.bodies if body.anchor]:
        joints += anchors
        # What anchors hold to, in the robot's frame: a joint to nothing would stay behind when PhysX clones the robot.
        bodies.append(prim("Xform", GROUND, ["PhysicsRigidBodyAPI"], ["bool physics:kinematicEnabled = 1"]))
    apis, lines, extra = [], [], []
    if robot.fixed_base and joints:  # no body0: held by the world, wherever the task puts the robot
        apis, lines = articulation_apis(), articulation_lines(robot)
        hold = [f"rel physics:body1 = </{robot.name}/{robot.bodies[0].name}>"]
        joints.insert(0, prim("PhysicsFixedJoint", "rootJoint", [], hold))
    if robot.collides:
        friction = num(robot.friction)
        extra.append(prim("Material", "physics_material", ["PhysicsMaterialAPI"], [
            f"float physics:staticFriction = {friction}",
            f"float physics:dynamicFriction = {friction}",
            "float physics:restitution = 0",
        ]))  # fmt: skip
        apis.append("MaterialBindingAPI")
        lines.append(f"rel material:binding:physics = </{robot.name}/physics_material>")
    if joints:
        bodies.append(prim("Scope", "joints", [], [], joints))
    root = prim("Xform", robot.name, apis, lines, [*extra, *bodies])
    return f"""#usda 1.0
(
    defaultPrim = "{robot.name}"
    doc = "Written by assets/build.py: change assets/robots.py and run it again."
    kilogramsPerUnit = 1
    metersPerUnit = 1
    upAxis = "Z"
)

{root}
"""


# --------------------------------------------------------------------------------------------------------- MJCF


def row(values: Iterable[float]) -> str:
    """Write numbers as MJCF does, blanks between."""
    return " ".join(map(num, values))


def mjcf_geom(parent: ET.Element, geom: Geom, mass: float, **more: str) -> None:
    """Write one shape with its share of the body's mass."""
    attributes = {"name": geom.name, "type": type(geom).__name__.lower(), **more}
    match geom:
        case Sphere():
            attributes |= {"size": num(geom.radius), "pos": row(geom.center)}
        case Capsule():
            attributes |= {"size": num(geom.radius), "fromto": row((*geom.start, *geom.end))}
        case Cylinder():
            attributes |= {"size": row((geom.radius, geom.height / 2)), "pos": row(geom.center)}
        case Box():
            attributes |= {"size": row(s / 2 for s in geom.size), "pos": row(geom.center)}
    ET.SubElement(parent, "geom", attributes | {"mass": num(mass), "rgba": row((*geom.colour, 1))})


def to_mjcf(robot: Robot) -> str:
    """Write the robot as MJCF, on a floor, one motor a joint whose control is the joint's effort (N or N m)."""
    top = ET.Element("mujoco", model=robot.name)
    top.append(ET.Comment(" Written by assets/build.py: change assets/robots.py and run it again. "))
    ET.SubElement(top, "compiler", angle="degree")
    # A robot's shapes meet the floor, and each other where it has self-collisions.
    contact = {"contype": str(int(robot.collides)), "conaffinity": str(int(robot.self_collisions))}
    ET.SubElement(ET.SubElement(top, "default"), "geom", contact | {"friction": num(robot.friction)})
    world = ET.SubElement(top, "worldbody")
    ET.SubElement(world, "light", pos="0 0 5", dir="0 0 -1")
    floor = {"name": "floor", "type": "plane", "size": "0 0 1", "contype": "0", "conaffinity": "1"}
    ET.SubElement(world, "geom", floor | {"rgba": "0.55 0.6 0.65 1"})

    elements: dict[str | None, ET.Element] = {None: world}
    for body in robot.bodies:
        position = body.origin if body.parent else (0.0, 0.0, robot.height)
        element = ET.SubElement(elements[body.parent], "body", name=body.name, pos=row(position))
        elements[body.name] = element
        for joint in body.hinges:
            attributes = {"name": joint.name, "type": MJCF_JOINT[joint.kind], "axis": row(joint.axis)}
            if joint.limits:
                lower, upper = joint.limits
                # No hinge of MuJoCo is locked.
                attributes["range"] = row((lower, upper) if lower < upper else (lower - 1e-3, upper + 1e-3))
            if joint.stiffness:
                attributes["stiffness"] = num(joint.stiffness)
            attributes |= {"damping": num(joint.damping), "armature": num(joint.armature)}
            ET.SubElement(element, "joint", attributes)
        if not body.hinges and not robot.fixed_base:
            ET.SubElement(element, "freejoint", name="root")
        if body.inertia:
            inertia = {"pos": "0 0 0", "mass": num(body.mass), "diaginertia": row(body.inertia)}
            ET.SubElement(element, "inertial", inertia)
        for geom in body.geoms:
            mjcf_geom(element, geom, body.mass * geom.volume / body.volume)
        for geom in body.painted:
            mjcf_geom(element, geom, 0.0, contype="0", conaffinity="0")

    anchored = [body for body in robot.bodies if body.anchor]
    if anchored:
        equality = ET.SubElement(top, "equality")
        for body in anchored:
            ET.SubElement(equality, "connect", body1=body.name, anchor=row(body.anchor or ()))
    joints = [joint for body in robot.bodies for joint in body.hinges]
    actuator = ET.SubElement(top, "actuator") if joints else top
    for joint in joints:
        ET.SubElement(actuator, "motor", name=joint.name, joint=joint.name, gear="1")
    root = [] if robot.fixed_base else [0.0, 0.0, robot.height, 1.0, 0.0, 0.0, 0.0]
    positions = [math.radians(joint.initial) if joint.kind == "revolute" else joint.initial for joint in joints]
    ET.SubElement(ET.SubElement(top, "keyframe"), "key", name="initial", qpos=row([*root, *positions]))
    ET.indent(top)
    return ET.tostring(top, encoding="unicode") + "\n"


def snake(name: str) -> str:
    """Return BalanceBot as balance_bot."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def build(folder: Path = HERE) -> list[Path]:
    """Write <folder>/<robot>/<robot>.usda and .xml for every robot, and return the paths."""
    written = []
    for robot in ROBOTS:
        name = snake(robot.name)
        (folder / name).mkdir(parents=True, exist_ok=True)
        for suffix, text in ((".usda", to_usd(robot)), (".xml", to_mjcf(robot))):
            path = folder / name / f"{name}{suffix}"
            path.write_bytes(text.encode())
            written.append(path)
    return written


if __name__ == "__main__":
    for path in build(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE):
        print(path)
