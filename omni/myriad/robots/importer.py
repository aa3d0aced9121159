# SPDX-License-Identifier: Apache-2.0
"""The whole import: a file is converted, repaired, written, tried, and only then put where it belongs."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from omni.myriad.errors import MyriadError
from omni.myriad.files import write_text

from . import read, write
from .catalogue import CATALOGUE, fetch, making
from .convert import convert
from .model import Model, clean, quaternion
from .repair import repair
from .robot import SUFFIXES, Frame, Home, Joint, Mimic, Robot, cache_folder, cached_folder
from .trial import Trial, try_out

_TOUCHING = 1e-3
"""m: bodies that are as near as this at rest never collide with each other."""


def import_robot(
    source: str,
    out: Path | None = None,
    name: str = "",
    fixed_base: bool | None = None,
    keep: Sequence[str] = (),
    without: Sequence[str] = (),
    packages: Sequence[Path] = (),
    colliders: str = "hull",
    finish: Callable[[Robot, Trial, Path], None] = lambda *_: None,
) -> Robot:
    """Import a robot of the catalogue, or a file, and try it; nothing is left of an import that fails.

    Args:
        source: Name in the catalogue, or a URDF, MJCF or USD file.
        out: Folder to make; by default one in the cache, where `find` looks.
        name: Of the robot; by default the catalogue's, or the file's.
        fixed_base: Whether the world holds the root; None takes what the file says, or guesses.
        keep: Links that stay links although they are fixed to others.
        without: Of "friction" and "damping" of joints, what is left out of what the file says.
        packages: Folders that package:// may mean, or that hold such folders.
        colliders: What meshes collide as: "hull", "decomposition" or "sdf".
        finish: Called with robot, trial and folder before the folder gets its name, such as to draw pictures.

    Raises:
        MyriadError: If the robot cannot be had, read, repaired or written, or fails its trial.
    """
    entry, home, licence = CATALOGUE.get(source), {}, "unknown: its file's"
    licence_file = None
    folder = out or cached_folder(source)
    if out and out.exists():
        raise MyriadError(f"out={out} exists: name a folder that does not.")
    if entry:
        package = fetch(entry.package, entry.version, cache_folder(), entry.megabytes)
        file, origin = package / entry.file, f"{entry.package} {entry.version}: {entry.file}"
        fixed_base = entry.fixed_base if fixed_base is None else fixed_base
        without, home, licence = [*without, *entry.without], entry.home, entry.licence
        licence_file = package / entry.licence_file
        name = name or source
    else:
        file = Path(source).expanduser().resolve()
        if not file.is_file() or file.suffix.lower() not in SUFFIXES:
            cached_folder(source)  # says what is wrong
        origin = file.name
    name = clean(name or file.stem)
    with making(folder) as made:
        if made is None:
            return Robot.read(folder)
        print(f"Importing {name} from {origin} (licence: {licence}) ...", flush=True)
        _copy_licence(file, licence_file, made)
        mujoco: Any = importlib.import_module("mujoco")
        with tempfile.TemporaryDirectory(prefix="myriad_import_") as scratch:
            model, stage, judge_of = _read(file, list(packages), Path(scratch), mujoco)
            repair(model, keep, without, fixed_base, home)
            judge = judge_of(model)
            height = _write_mjcf(model, name, made, mujoco)
            write.write_usd(model, name, stage, made, colliders)
            judge = judge or mujoco.MjModel.from_xml_path(str(made / "robot.xml"))
            trial = try_out(made / "robot.usda", model, judge, mujoco, height)
        robot = _robot(model, trial, name, made, licence, origin, height)
        write_text(made / "robot.yaml", robot.to_yaml())
        finish(robot, trial, made)
    return Robot.read(folder)


def _copy_licence(file: Path, given: Path | None, folder: Path) -> None:
    """Copy the source's licence: the one that is named, else those in the file's folder and the two above it."""
    places = [*file.resolve().parents][:3]
    files = [given] if given else [f for place in places for f in sorted(place.glob("LICEN[CS]E*")) if f.is_file()][:1]
    for each in files:
        if each.is_file():
            prefix = "" if each.name.upper().startswith("LICEN") else "LICENSE-"
            shutil.copy(each, folder / f"{prefix}{each.name}")


def _read(file: Path, packages: list[Path], scratch: Path, mujoco: Any) -> tuple[Model, Any, Callable[[Model], Any]]:
    """Return the robot, the stage that its shapes are on, and what gives MuJoCo's model of the file once repaired."""
    if file.suffix.lower() in (".usd", ".usda", ".usdc", ".usdz"):
        return *read.read_usd(file, file.name), lambda model: None  # MuJoCo does not read USD
    if file.suffix.lower() == ".urdf":
        copy, robot = read.prepare_urdf(file, packages, scratch)
        model, stage = read.read_usd(_converted(copy, scratch), file.name)
        read.add_urdf(model, robot)
        return model, stage, lambda model: _urdf_in_mujoco(robot, bool(model.fixed_base), mujoco)
    judge = _mjcf_in_mujoco(file, mujoco)
    model, stage = read.read_usd(_converted(file, scratch), file.name)
    read.add_mjcf(model, judge, mujoco)
    return model, stage, lambda model: judge


def _converted(file: Path, scratch: Path) -> Path:
    converted, said = convert(file, scratch / "usd", cache_folder())
    if lost := [line for line in said if "could not be parsed" in line]:
        raise MyriadError(f"{file.name}: {lost[0]}")
    return converted


def _urdf_in_mujoco(robot: ElementTree.Element, fixed_base: bool, mujoco: Any) -> Any:
    """Return MuJoCo's model of a URDF's joints, masses and centres of mass.

    Its shapes are left out, because MuJoCo does not read all formats, and its inertias, because it refuses those that
    are only possible once fixed links are merged.
    """
    bare = ElementTree.fromstring(ElementTree.tostring(robot))
    for link in bare.findall("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            link.remove(shape)
    for inertia in bare.iter("inertia"):
        inertia.attrib.update(ixx="1", iyy="1", izz="1", ixy="0", ixz="0", iyz="0")
    extension = ElementTree.SubElement(ElementTree.SubElement(bare, "mujoco"), "compiler")
    extension.attrib.update(fusestatic="false", boundmass="0", boundinertia="0")
    try:
        spec = mujoco.MjSpec.from_string(ElementTree.tostring(bare, encoding="unicode"))
        if not fixed_base:
            spec.worldbody.bodies[0].add_freejoint()
        return spec.compile()
    except ValueError as error:
        raise MyriadError(f"MuJoCo cannot read the URDF: {str(error).splitlines()[0]}") from None


def _mjcf_in_mujoco(file: Path, mujoco: Any) -> Any:
    """Return MuJoCo's model of an MJCF file, without its sensors, which may look at what is not there."""
    try:
        spec = mujoco.MjSpec.from_file(str(file))
        for sensor in list(spec.sensors):
            spec.delete(sensor)
        return spec.compile()
    except ValueError as error:
        raise MyriadError(f"MuJoCo cannot read {file.name}: {' '.join(str(error).split())}") from None


def _write_mjcf(model: Model, name: str, folder: Path, mujoco: Any) -> float:
    """Write `robot.xml`; find on the way the masses that shapes decide, what touches at rest, and the root's height."""
    spec = write.to_spec(model, name, mujoco)
    compiled = _compile(spec)
    for link_name, link in model.links.items():
        if link.mass is None:
            body = mujoco.mj_name2id(compiled, mujoco.mjtObj.mjOBJ_BODY, link_name)
            turn = np.zeros(9)
            mujoco.mju_quat2Mat(turn, compiled.body_iquat[body])
            turn = turn.reshape(3, 3)
            scale = (link.total or compiled.body_mass[body]) / compiled.body_mass[body]
            link.mass, link.com = float(compiled.body_mass[body] * scale), compiled.body_ipos[body].copy()
            link.inertia = turn @ np.diag(compiled.body_inertia[body]) @ turn.T * scale
    data = mujoco.MjData(compiled)
    mujoco.mj_resetDataKeyframe(compiled, data, 0)
    compiled.geom_margin[:] = _TOUCHING
    mujoco.mj_forward(compiled, data)
    touching = set()
    for contact in data.contact:
        pair = sorted(compiled.body(compiled.geom_bodyid[geom]).name for geom in contact.geom)
        touching.add((pair[0], pair[1]))
    new = sorted(touching - {(min(pair), max(pair)) for pair in model.filtered})
    if new:
        model.filtered += new
        model.changes.append(f"never collide, because they touch at rest: {', '.join('-'.join(pair) for pair in new)}")
    lowest = min((_lowest(compiled, data, geom) for geom in range(compiled.ngeom)), default=0.0)
    height = 0.0 if model.fixed_base else -lowest
    spec = write.to_spec(model, name, mujoco, height)
    _compile(spec)
    write_text(folder / "robot.xml", spec.to_xml())
    return height


def _compile(spec: Any) -> Any:
    try:
        return spec.compile()
    except ValueError as error:
        raise MyriadError(f"MuJoCo refuses the robot: {' '.join(str(error).split())}") from None


def _lowest(compiled: Any, data: Any, geom: int) -> float:
    """Return the height of a geom's lowest point: of its box, and for what is round of its ends."""
    centre, half = compiled.geom_aabb[geom, :3], compiled.geom_aabb[geom, 3:]
    turn = data.geom_xmat[geom].reshape(3, 3)
    place = data.geom_xpos[geom] + turn @ centre
    radius, length = compiled.geom_size[geom, 0], compiled.geom_size[geom, 1]
    kind = int(compiled.geom_type[geom])
    if kind in (2, 3):  # sphere, capsule
        return float(place[2] - radius - (abs(turn[2, 2]) * length if kind == 3 else 0.0))
    return float(place[2] - np.abs(turn[2]) @ half)


def _robot(model: Model, trial: Trial, name: str, folder: Path, licence: str, origin: str, height: float) -> Robot:
    hinges = {hinge.name: hinge for hinge in model.hinges}
    joints = []
    for dof in trial.dof_names:
        h = hinges[dof]
        mimic = Mimic(h.mimic[0], float(h.mimic[1]), float(h.mimic[2])) if h.mimic else None
        joints.append(
            Joint(
                h.name,
                h.kind,
                h.lower,
                h.upper,
                h.effort,
                h.velocity,
                h.stiffness,
                h.damping,
                h.armature,
                h.friction,
                mimic,
            )
        )
    frames = {
        frame: Frame(link, tuple(pose[:3, 3].tolist()), quaternion(pose))  # type: ignore[arg-type]
        for frame, (link, pose) in sorted(model.frames.items())
    }
    links = {link: model.links[link].mass or 0.0 for link in trial.body_names}
    home = Home(height, {joint.name: float(model.home[joint.name]) for joint in joints})
    return Robot(
        name, folder, licence, origin, bool(model.fixed_base), tuple(joints), links, frames, home, tuple(model.changes)
    )
