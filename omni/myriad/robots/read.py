# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
"""Read a robot: its USD, or what a converter wrote, then what only the URDF or MJCF knows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade

from omni.myriad.engine import usd
from omni.myriad.errors import MyriadError

from .model import Hinge, Link, Model, Shape, clean, inverse, matrix, pose_of, rotation_about_x, x_to

_AXES = {"X": (1.0, 0.0, 0.0), "Y": (0.0, 1.0, 0.0), "Z": (0.0, 0.0, 1.0)}
_WORLD_LINKS = ("world", "map", "")


# ------------------------------------------------------------------------------------------------------------ USD


def read_usd(file: Path, name: str) -> tuple[Model, Usd.Stage]:
    """Read the bodies, joints and shapes of a USD file; `name` is what messages call it.

    Returns:
        The robot, and the stage whose prims its shapes are.

    Raises:
        MyriadError: If the file cannot be read, is not in metres with z up, or holds what no robot has.
    """
    try:
        stage = Usd.Stage.Open(str(file))
    except Exception as error:
        raise MyriadError(f"{name} cannot be read: {str(error).strip().splitlines()[-1]}") from None
    if UsdGeom.GetStageMetersPerUnit(stage) != 1.0 or UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.z:
        raise MyriadError(f"{name} must be in metres with z up: export it so.")
    if lost := [prim for prim in stage.TraverseAll() if prim.HasAuthoredReferences() and not prim.GetTypeName()]:
        raise MyriadError(f"{name}: what {lost[0].GetPath()} refers to is not there.")
    usd.break_instances(stage.GetPseudoRoot())
    cache, model = UsdGeom.XformCache(), Model()
    bodies = [prim for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
    if not bodies:
        raise MyriadError(f"{name} holds no robot: it has no rigid body.")
    names: dict[Any, str] = {}
    for prim in bodies:
        names[prim.GetPath()] = clean(prim.GetDisplayName() or prim.GetName(), names.values())
        model.links[names[prim.GetPath()]] = _link(prim)
    for prim in stage.Traverse():
        body = _body_of(prim, names)
        if body and prim.GetPath() not in names:
            pose = inverse(_rigid(cache.GetLocalToWorldTransform(body))) @ _column(cache.GetLocalToWorldTransform(prim))
            if prim.IsA(UsdGeom.Gprim) and not _is_site(prim):
                model.links[names[body.GetPath()]].shapes.append(_shape(prim, pose))
            elif _is_site(prim):
                site = clean(prim.GetDisplayName() or prim.GetName())
                model.frames.setdefault(site, (names[body.GetPath()], pose_of(pose[:3, 3], _wxyz_of(pose))))
        if prim.IsA(UsdPhysics.Joint) and prim.GetAttribute("physics:jointEnabled").Get() is not False:
            _add_joint(model, prim, names, cache)
    parents = {hinge.child for hinge in model.hinges}
    roots = [name for name in model.links if name not in parents]
    moving = [name for name in roots if any(hinge.kind != "fixed" for hinge in model.below(name))]
    if not roots:
        raise MyriadError(f"{name} holds no robot: its links form a loop.")
    if len(moving) > 1:
        raise MyriadError(f"{name} has several roots: {', '.join(moving)}. A robot is one tree: join or part them.")
    if not moving:
        raise MyriadError(f"{name} has no joint that moves, so it is no robot: add it to a task as an object.")
    model.root = moving[0]
    for prim in bodies:
        if names[prim.GetPath()] == model.root:
            model.turn = _rigid(cache.GetLocalToWorldTransform(prim))[:3, :3]
    left_out = [name for name in model.links if name not in {model.root, *(h.child for h in model.below(model.root))}]
    if left_out:
        model.changes.append(f"left out, because no joint links it to the robot: {', '.join(left_out)}")
        model.hinges = list(model.below(model.root))
        model.links = {name: link for name, link in model.links.items() if name not in left_out}
        model.frames = {name: frame for name, frame in model.frames.items() if frame[0] in model.links}
    return model, stage


def _body_of(prim: Usd.Prim, names: dict[Any, str]) -> Usd.Prim | None:
    while prim and prim.GetPath() not in names:
        prim = prim.GetParent()
    return prim or None


def _column(matrix_of_rows: Gf.Matrix4d) -> np.ndarray:
    return np.array(matrix_of_rows).T


def _rigid(matrix_of_rows: Gf.Matrix4d) -> np.ndarray:
    return _column(matrix_of_rows.RemoveScaleShear())


def _wxyz_of(pose: np.ndarray) -> list[float]:
    turn = Gf.Matrix4d(*pose.T.flatten().tolist()).RemoveScaleShear().ExtractRotationQuat()
    return [turn.GetReal(), *turn.GetImaginary()]


def _quaternion(value: Any) -> list[float]:
    return [value.GetReal(), *value.GetImaginary()]


def _is_site(prim: Usd.Prim) -> bool:
    """Tell whether a prim is a converted MJCF site: a shape to be neither seen nor hit."""
    purpose = UsdGeom.Imageable(prim).GetPurposeAttr().Get() if prim.IsA(UsdGeom.Gprim) else None
    return purpose == UsdGeom.Tokens.guide and not prim.HasAPI(UsdPhysics.CollisionAPI)


def _link(prim: Usd.Prim) -> Link:
    mass = UsdPhysics.MassAPI(prim)
    weight = mass.GetMassAttr().Get() if prim.HasAPI(UsdPhysics.MassAPI) else 0.0
    diagonal = np.array(mass.GetDiagonalInertiaAttr().Get()) if weight else np.zeros(3)
    if not weight or not diagonal.any():
        return Link(None, total=weight or None)
    turn = mass.GetPrincipalAxesAttr().Get()
    turn = matrix(_quaternion(turn)) if turn.GetLength() else np.eye(3)
    com = np.array(mass.GetCenterOfMassAttr().Get(), float)
    return Link(float(weight), com if np.isfinite(com).all() else np.zeros(3), turn @ np.diag(diagonal) @ turn.T)


def _shape(prim: Usd.Prim, pose: np.ndarray) -> Shape:
    enabled = prim.GetAttribute("physics:collisionEnabled").Get() is not False
    scale = np.linalg.norm(pose[:3, :3], axis=0)
    shape = Shape(str(prim.GetPath()), pose, prim.HasAPI(UsdPhysics.CollisionAPI) and enabled, "mesh")
    density = UsdPhysics.MassAPI(prim).GetDensityAttr().Get() if prim.HasAPI(UsdPhysics.MassAPI) else 0.0
    shape.density = density or 1000.0
    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
    if material and material.GetPrim().HasAPI(UsdPhysics.MaterialAPI):
        shape.friction = UsdPhysics.MaterialAPI(material).GetDynamicFrictionAttr().Get()
    if sphere := UsdGeom.Sphere(prim):
        shape.kind, shape.size = "sphere", (sphere.GetRadiusAttr().Get() * scale.max(),)
    elif cube := UsdGeom.Cube(prim):
        shape.kind, shape.size = "box", tuple(cube.GetSizeAttr().Get() / 2 * scale)
    elif tube := UsdGeom.Capsule(prim) or UsdGeom.Cylinder(prim):
        axis = tube.GetAxisAttr().Get()
        along = "XYZ".index(axis)
        shape.kind = "capsule" if prim.IsA(UsdGeom.Capsule) else "cylinder"
        radius = tube.GetRadiusAttr().Get() * np.delete(scale, along).max()
        shape.size = (radius, tube.GetHeightAttr().Get() / 2 * scale[along])
        shape.turn = np.roll(np.eye(3), along - 2, axis=0)  # z becomes the axis
    elif mesh := UsdGeom.Mesh(prim):
        points = np.array(mesh.GetPointsAttr().Get() or np.zeros((0, 3)), float)
        if not len(points):
            raise MyriadError(f"The mesh {prim.GetPath()} is empty: its file could not be read.")
        shape.points = points @ pose[:3, :3].T + pose[:3, 3]
    else:
        shape.collides, shape.kind = False, prim.GetTypeName()
    return shape


def _add_joint(model: Model, prim: Usd.Prim, names: dict[Any, str], cache: UsdGeom.XformCache) -> None:
    joint = UsdPhysics.Joint(prim)
    if joint.GetExcludeFromArticulationAttr().Get():
        model.changes.append(f"left out: joint {prim.GetName()}, which closes a loop")
        return
    ends = [rel.GetTargets() for rel in (joint.GetBody0Rel(), joint.GetBody1Rel())]
    parent, child = (names.get(end[0]) if end else None for end in ends)
    kinds = {"PhysicsRevoluteJoint": "revolute", "PhysicsPrismaticJoint": "prismatic", "PhysicsFixedJoint": "fixed"}
    kind = kinds.get(prim.GetTypeName())
    if parent is None or child is None:
        if kind == "fixed":
            model.fixed_base = True
            return
        raise MyriadError(f"Joint {prim.GetPath()} links a body to the world, which only fixed joints may do.")
    if kind is None:
        what = prim.GetTypeName().removeprefix("Physics") or "Joint"
        raise MyriadError(f"Joint {prim.GetName()} is a {what}: robots have revolute, prismatic and fixed ones.")
    frames = []
    for side in "01":
        position = prim.GetAttribute(f"physics:localPos{side}").Get()
        turn = prim.GetAttribute(f"physics:localRot{side}").Get()
        frames.append(pose_of(np.array(position, float), _quaternion(turn)))
    hinge = Hinge(
        clean(prim.GetDisplayName() or prim.GetName(), {h.name for h in model.hinges}), kind, parent, child, *frames
    )
    if kind != "fixed":
        to_x = x_to(np.array(_AXES[prim.GetAttribute("physics:axis").Get()]))
        hinge.frame0, hinge.frame1 = frames[0] @ to_x, frames[1] @ to_x
        _read_drive(hinge, prim)
    model.hinges.append(hinge)


def _read_drive(hinge: Hinge, prim: Usd.Prim) -> None:
    drive, unit = ("angular", math.radians(1.0)) if hinge.kind == "revolute" else ("linear", 1.0)

    def read(default: float, *attributes: str) -> float:
        values = [prim.GetAttribute(name).Get() for name in attributes if prim.HasAttribute(name)]
        return next((float(value) for value in values if value is not None), default)

    axis = f"physxJointAxis:{drive}"
    hinge.lower = read(-math.inf, "physics:lowerLimit") * unit
    hinge.upper = read(math.inf, "physics:upperLimit") * unit
    hinge.effort = read(math.inf, f"drive:{drive}:physics:maxForce")
    hinge.velocity = (
        read(math.inf, f"{axis}:maxJointVelocity", "physxJoint:maxJointVelocity", "newton:velocityLimit") * unit
    )
    hinge.stiffness = read(0.0, f"drive:{drive}:physics:stiffness") / unit
    hinge.damping = (
        read(0.0, f"drive:{drive}:physics:damping") + read(0.0, f"{axis}:viscousFrictionCoefficient", "newton:damping")
    ) / unit
    hinge.armature = read(0.0, f"{axis}:armature", "newton:armature", "physxJoint:armature")
    hinge.friction = read(0.0, f"{axis}:dynamicFrictionEffort", "newton:friction")
    if targets := prim.GetRelationship("newton:mimicJoint").GetTargets():
        leader = prim.GetStage().GetPrimAtPath(targets[0])
        offset = read(0.0, "newton:mimicCoef0") * unit
        hinge.mimic = (clean(leader.GetDisplayName() or leader.GetName()), read(1.0, "newton:mimicCoef1"), offset)
    if prim.HasAttribute(f"state:{drive}:physics:position"):
        position = prim.GetAttribute(f"state:{drive}:physics:position").Get()
        hinge.start = position * unit if position is not None else None


# ----------------------------------------------------------------------------------------------------------- URDF


def prepare_urdf(file: Path, packages: list[Path], folder: Path) -> tuple[Path, ElementTree.Element]:
    """Check a URDF file and write a copy whose meshes have absolute paths.

    Args:
        file: The URDF.
        packages: Folders that package:// may mean, or that hold such folders.
        folder: For the copy.

    Returns:
        The copy, and the robot's element.

    Raises:
        MyriadError: If it is no URDF, has several roots or a loop, or a mesh is missing.
    """
    try:
        robot = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise MyriadError(f"{file} is not XML: {error}.") from None
    if robot.tag != "robot":
        raise MyriadError(f"{file} is no URDF: its outermost element is <{robot.tag}>.")
    for mesh in robot.iter("mesh"):
        mesh.set("filename", str(_mesh_file(mesh.get("filename", ""), file, packages)))
    links = [link.get("name", "") for link in robot.findall("link")]
    children: dict[str, str] = {}
    for joint in robot.findall("joint"):
        name, kind = joint.get("name", ""), joint.get("type", "")
        if kind not in ("revolute", "continuous", "prismatic", "fixed"):
            raise MyriadError(f"{file.name}: joint {name} is {kind}: robots have revolute, prismatic and fixed ones.")
        parent, child = (
            end.get("link", "") if (end := joint.find(tag)) is not None else "" for tag in ("parent", "child")
        )
        for link in (parent, child):
            if link not in links:
                raise MyriadError(f"{file.name}: joint {name} names a link {link!r} that there is not.")
        if child in children:
            raise MyriadError(
                f"{file.name}: link {child} hangs on two joints, {children[child]} and {name}, which closes a loop: "
                "robots are trees, so leave one of them out."
            )
        children[child] = name
    roots = [link for link in links if link not in children]
    if len(roots) != 1:
        what = f"several roots: {', '.join(roots)}" if roots else "no root, because its joints form a loop"
        raise MyriadError(f"{file.name} has {what}. A robot is one tree: join its parts by joints.")
    copy = folder / f"{clean(file.stem)}.urdf"
    ElementTree.ElementTree(robot).write(copy)
    return copy, robot


def _mesh_file(name: str, urdf: Path, packages: list[Path]) -> Path:
    if name.startswith("package://"):
        package, _, rest = name.removeprefix("package://").partition("/")
        around = [*packages, *urdf.resolve().parents]
        candidates = [place / rest for place in around if place.name == package]
        candidates += [place / package / rest for place in around]
    else:
        candidates = [urdf.resolve().parent / name.removeprefix("file://")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    hint = ": say packages=FOLDER, which is the package or holds it" if name.startswith("package://") else ""
    raise MyriadError(f"{urdf.name}: the mesh {name} is missing{hint}.")


def add_urdf(model: Model, robot: ElementTree.Element) -> None:
    """Add what the converter leaves out: effort limits, damping in full precision, friction, named frames."""
    joints = {clean(joint.get("name", "")): joint for joint in robot.findall("joint")}
    parents = {clean(joint.find("child").get("link", "")): joint for joint in joints.values()}  # type: ignore[union-attr]
    links = [clean(link.get("name", "")) for link in robot.findall("link")]
    (root,) = (link for link in links if link not in parents)
    if root not in _WORLD_LINKS:
        model.fixed_base = None  # the converter welds whatever it finds
    else:
        model.fixed_base = True
        model.changes.append(f"welded to the world, because the file's root link is called {root}")
    for hinge in model.hinges:
        joint = joints.get(hinge.name)
        if joint is None or hinge.kind == "fixed":
            continue
        limit, dynamics = joint.find("limit"), joint.find("dynamics")
        if joint.get("type") != "continuous" and (limit is None or not {"lower", "upper"} & set(limit.keys())):
            if hinge.kind == "prismatic":
                raise MyriadError(f"Joint {hinge.name} slides without <limit lower= upper=>: give it limits.")
            hinge.lower, hinge.upper = -math.inf, math.inf
            model.changes.append(f"joint {hinge.name} has no limits in the file: it turns freely")
        for name in ("effort", "velocity"):
            value = float(limit.get(name, "inf")) if limit is not None else math.inf
            setattr(hinge, name, value if value > 0 else math.inf)
            if value <= 0:
                model.changes.append(f"joint {hinge.name} has {name} 0 in the file, which would hold it: no limit")
        hinge.damping = float(dynamics.get("damping", 0)) if dynamics is not None else 0.0
        hinge.friction = float(dynamics.get("friction", 0)) if dynamics is not None else 0.0
        if (mimic := joint.find("mimic")) is not None:
            leader = clean(mimic.get("joint", ""))
            hinge.mimic = (leader, float(mimic.get("multiplier", 1)), float(mimic.get("offset", 0)))
    weights = {clean(link.get("name", "")): link.find("inertial/mass") for link in robot.findall("link")}
    for name, link in model.links.items():
        mass = weights.get(name)
        if mass is None or float(mass.get("value", 0)) == 0:
            link.mass = 0.0  # in URDF what has no <inertial> has no mass, whatever its shapes
        elif link.mass is None:
            link.mass = float(mass.get("value", 0))  # its inertia is 0
    for name, element in ((clean(link.get("name", "")), link) for link in robot.findall("link")):
        if name not in model.links and parents:
            _add_dropped_link(model, name, element, parents)


def _add_dropped_link(
    model: Model, name: str, element: ElementTree.Element, parents: dict[str, ElementTree.Element]
) -> None:
    """Add a link that the converter drops, because it has no shape: its mass, if it has any, or else a frame."""
    pose, link = np.eye(4), name
    while link not in model.links:
        joint = parents.get(link)
        if joint is None:
            return  # above the root
        if joint.get("type") != "fixed":
            raise MyriadError(f"Joint {joint.get('name')} moves link {link}, which has neither mass nor shape.")
        pose = _origin(joint) @ pose
        link = clean(joint.find("parent").get("link", ""))  # type: ignore[union-attr]
    if element.find("inertial/mass") is None:
        model.frames[name] = (link, pose)
        return
    inertial = element.find("inertial")
    place, moments = _origin(inertial), inertial.find("inertia")  # type: ignore[arg-type, union-attr]
    xx, yy, zz, xy, xz, yz = (float(moments.get(f"i{axes}", 0)) for axes in ("xx", "yy", "zz", "xy", "xz", "yz"))  # type: ignore[union-attr]
    inertia = place[:3, :3] @ np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) @ place[:3, :3].T
    mass = float(element.find("inertial/mass").get("value", 0))  # type: ignore[union-attr]
    model.links[name] = Link(mass, place[:3, 3], inertia)
    model.hinges.append(Hinge(f"{name}_joint", "fixed", link, name, pose, np.eye(4)))


def _origin(element: ElementTree.Element) -> np.ndarray:
    """Return the pose of an element's <origin>: turned about x, then y, then z, all fixed."""
    origin = element.find("origin")
    result = np.eye(4)
    if origin is not None:
        result[:3, 3] = [float(number) for number in origin.get("xyz", "0 0 0").split()]
        for axis, angle in enumerate(origin.get("rpy", "0 0 0").split()):
            turn = np.roll(rotation_about_x(float(angle))[:3, :3], (axis, axis), (0, 1))
            result[:3, :3] = turn @ result[:3, :3]
    return result


# ----------------------------------------------------------------------------------------------------------- MJCF


def add_mjcf(model: Model, source: Any, mujoco: Any) -> None:
    """Add what the converter leaves out: masses, gains, limits of effort, armature, friction, couplings, a home pose.

    Args:
        model: The robot, as the converter understood it.
        source: MuJoCo's model of the file.
        mujoco: The library.
    """
    kinds = mujoco.mjtObj

    def name(kind: int, index: int) -> str:
        return clean(mujoco.mj_id2name(source, kind, index) or "")

    bodies = {name(kinds.mjOBJ_BODY, i): i for i in range(source.nbody)}
    for link_name, link in model.links.items():
        if link_name in bodies:
            i = bodies[link_name]
            turn = matrix(source.body_iquat[i])
            link.mass, link.com = float(source.body_mass[i]), source.body_ipos[i].copy()
            link.inertia = turn @ np.diag(source.body_inertia[i]) @ turn.T
    hinges = {hinge.name: hinge for hinge in model.hinges}
    joints = {name(kinds.mjOBJ_JOINT, j): j for j in range(source.njnt)}
    by_id = {j: hinges[joint] for joint, j in joints.items() if joint in hinges}
    for j, hinge in by_id.items():
        dof = source.jnt_dofadr[j]
        hinge.armature, hinge.friction = float(source.dof_armature[dof]), float(source.dof_frictionloss[dof])
        hinge.damping, hinge.stiffness = _first(source.dof_damping[dof]), _first(source.jnt_stiffness[j])
        if source.jnt_limited[j]:
            hinge.lower, hinge.upper = map(float, source.jnt_range[j])
        if source.jnt_actfrclimited[j]:
            hinge.effort = float(np.abs(source.jnt_actfrcrange[j]).max())
    lost = []
    for a in range(source.nu):
        hinge = by_id.get(source.actuator_trnid[a, 0]) if source.actuator_trntype[a] == 0 else None
        if hinge is None:
            lost.append(name(kinds.mjOBJ_ACTUATOR, a))
            continue
        gear, gain, bias = source.actuator_gear[a, 0], source.actuator_gainprm[a], source.actuator_biasprm[a]
        if source.actuator_biastype[a] == mujoco.mjtBias.mjBIAS_AFFINE:
            hinge.stiffness += float(-bias[1] * gear**2)
            hinge.damping += float(-bias[2] * gear**2)
        limit = np.abs(source.actuator_forcerange[a]).max() if source.actuator_forcelimited[a] else math.inf
        if source.actuator_ctrllimited[a] and source.actuator_biastype[a] == mujoco.mjtBias.mjBIAS_NONE:
            limit = min(limit, np.abs(source.actuator_ctrlrange[a]).max() * abs(gain[0]))
        hinge.effort = min(hinge.effort, float(limit * abs(gear)))
    _couple(model, source, mujoco, by_id, lost, name)
    if lost:
        model.changes.append(f"lost, because PhysX has no such thing: {', '.join(lost)}")
    for e in range(source.nexclude):
        pair = [name(kinds.mjOBJ_BODY, int(body)) for body in divmod(int(source.exclude_signature[e]), 65536)]
        if set(pair) <= set(model.links):
            model.filtered.append((pair[0], pair[1]))
    if source.nkey:
        for j, hinge in by_id.items():
            model.home[hinge.name] = float(source.key_qpos[0][source.jnt_qposadr[j]])
    model.fixed_base = not any(
        source.jnt_type[j] == 0 and name(kinds.mjOBJ_BODY, source.jnt_bodyid[j]) == model.root
        for j in range(source.njnt)
    )


def _first(value: Any) -> float:
    """Return the linear part of what MuJoCo 4 has as a polynomial."""
    return float(np.atleast_1d(value)[0])


def _couple(model: Model, source: Any, mujoco: Any, by_id: dict[int, Hinge], lost: list[str], name: Any) -> None:
    """Turn equalities of joints, and tendons of two joints that have one length, into joints that follow."""
    for e in range(source.neq):
        first, second = (by_id.get(int(i)) for i in (source.eq_obj1id[e], source.eq_obj2id[e]))
        data = source.eq_data[e]
        if source.eq_type[e] == mujoco.mjtEq.mjEQ_JOINT and first and second and not np.any(data[2:5]):
            first.mimic = (second.name, float(data[1]), float(data[0]))
            model.changes.append(f"joint {first.name} follows {second.name} (an equality in the file)")
        else:
            lost.append(name(mujoco.mjtObj.mjOBJ_EQUALITY, e) or f"equality {e}")
    for t in range(source.ntendon):
        wraps = range(source.tendon_adr[t], source.tendon_adr[t] + source.tendon_num[t])
        joints = [
            (int(source.wrap_objid[w]), float(source.wrap_prm[w]))
            for w in wraps
            if source.wrap_type[w] == mujoco.mjtWrap.mjWRAP_JOINT and int(source.wrap_objid[w]) in by_id
        ]
        low, high = source.tendon_range[t]
        if source.tendon_limited[t] and high - low < 1e-2 and len(joints) == len(wraps) == 2:
            (first_id, a), (second_id, b) = sorted(joints)  # MuJoCo numbers them from the root on
            leader, follower = by_id[first_id], by_id[second_id]
            follower.mimic = (leader.name, -a / b, (low + high) / 2 / b)
            model.changes.append(f"joint {follower.name} follows {leader.name} (a tendon in the file)")
        else:
            lost.append(name(mujoco.mjtObj.mjOBJ_TENDON, t) or f"tendon {t}")
