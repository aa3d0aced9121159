# SPDX-License-Identifier: Apache-2.0
"""The verbs `import`, which makes a robot from elsewhere one of ours, and `robots`, which lists the catalogue."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omni.myriad.app import cli
from omni.myriad.app.options import Section, option, options, page
from omni.myriad.errors import MyriadError
from omni.myriad.places import COMMAND
from omni.myriad.robots.catalogue import CATALOGUE
from omni.myriad.robots.robot import Robot, cached_folder

if TYPE_CHECKING:
    from omni.myriad.robots.trial import Trial

_FILM_SECONDS = 4.0
_PANEL = (480, 368)
_NEARER = 0.65
"""A robot at rest fills less of the picture than one that moves."""
_AXES = ((1.0, 0.2, 0.2), (0.2, 0.8, 0.2), (0.25, 0.4, 1.0))
"""Colours of x, y and z."""


class Import(Section):
    """Make a URDF, MJCF or USD file, or a robot of the catalogue, one that can be trained, and try it."""

    usage = "FILE|NAME [key=value ...]"

    out: str = option("", "folder to make; empty: one in the cache, where tasks find it by name")
    name: str = option("", "of the robot; empty: that of the file")
    fixed_base: bool | None = option(None, "whether the world holds the root; empty: as the file says, else guessed")
    keep: str = option("", "links that stay links although they are fixed to others, with commas")
    without: str = option(
        "",
        "friction, damping, or both with a comma: leave out what the file says of joints",
        matches="((friction|damping)(,|$))*",
        wants="friction, damping, or both with a comma",
    )
    packages: str = option("", "folders that package:// means, or that hold such folders, with commas")
    colliders: Literal["hull", "decomposition", "sdf"] = option("hull", "what meshes collide as")
    film: bool = option(True, "film the joints going through their limits")


def run_import(arguments: Sequence[str]) -> None:
    """Import one robot and say what was changed, what was found and where it is."""
    if not arguments or any(argument in ("-h", "--help") for argument in arguments):
        print(page("import", Import))
        cli.leave(0)
    cli.attempt(lambda: _import(arguments))


def _import(arguments: Sequence[str]) -> None:
    from omni.myriad.robots.importer import import_robot

    sources = [text for text in arguments if "=" not in text]
    if len(sources) != 1:
        raise MyriadError(f"Give one robot: {COMMAND} import {Import.usage}; {COMMAND} robots lists names.")
    defaults = {name: found.default for name, found in options(Import).items()}
    values: dict[str, Any] = dict(defaults)
    for text in arguments:
        name, is_setting, value = text.partition("=")
        if is_setting and name not in values:
            raise MyriadError(f"{name} is no setting of import; it has: {', '.join(values)}.")
        if is_setting:
            read = {"true": True, "false": False}.get(value.lower(), value)
            values[name] = options(Import)[name].checked(name, read)
    changes = [
        name for name in ("name", "fixed_base", "keep", "without", "colliders") if values[name] != defaults[name]
    ]
    if changes and not values["out"]:
        raise MyriadError(f"{changes[0]}= makes another robot than the one that tasks find: say out=FOLDER, too.")
    if not values["out"] and (cached_folder(sources[0]) / "robot.yaml").is_file():
        print(f"{sources[0]} is in {cached_folder(sources[0])}; remove that folder to import it anew.")
        return
    start = time.perf_counter()

    def finish(robot: Robot, trial: Trial, folder: Path) -> None:
        _report(robot, trial)
        _draw(robot, folder / "picture.png")
        if values["film"]:
            _film(robot, trial, folder / "sweep")

    out = Path(values["out"]).expanduser() if values["out"] else None
    robot = import_robot(
        sources[0],
        out,
        values["name"],
        values["fixed_base"],
        _split(values["keep"]),
        _split(values["without"]),
        [Path(name).expanduser().resolve() for name in _split(values["packages"])],
        values["colliders"],
        finish,
    )
    print(f"\n{robot.name} is in {robot.folder} ({time.perf_counter() - start:.0f} s).")


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _report(robot: Robot, trial: Trial) -> None:
    for change in robot.changes:
        print(f"  - {change}")
    print(
        f"\n  {'joint':28} {'type':9} {'from':>7} {'to':>7} {'effort':>8} {'velocity':>8} {'kp':>7} {'kd':>7}  follows"
    )
    for joint in robot.joints:
        limits = f"{joint.lower:7.2f} {joint.upper:7.2f} {joint.effort:8.4g} {joint.velocity:8.3g}"
        gains = f"{joint.stiffness:7.3g} {joint.damping:7.3g}"
        print(f"  {joint.name:28} {joint.type:9} {limits} {gains}  {joint.mimic.joint if joint.mimic else ''}".rstrip())
    print(f"\n  {'link':28} {'kg':>9}")
    for name, mass in robot.links.items():
        print(f"  {name:28} {mass:9.4g}")
    how = "held" if robot.fixed_base else f"dropped from {robot.home.height + 0.05:.2f} m"
    print(
        f"\n  tried in PhysX: {how}, and each joint moved through its limits; from MuJoCo's reading of the file differ "
        f"poses by {trial.pose_difference:.1e} m, mass by {trial.mass_difference:.1e} and gravity's torques by "
        f"{trial.torque_difference:.1e} of the largest"
    )
    for note in trial.notes:
        print(f"  note: {note}")
    sys.stdout.flush()


def _draw(robot: Robot, file: Path) -> None:
    """Draw a robot at home three times: how it looks, its colliders, and the frames of its links."""
    import numpy as np
    from matplotlib.image import imsave

    from omni.myriad.engine.shapes import Shape, robot_shapes
    from omni.myriad.files import replacing
    from omni.myriad.render.camera import Camera
    from omni.myriad.render.video import follow
    from omni.myriad.robots.trial import at_home

    stage, positions, orientations = at_home(robot)
    links = list(robot.links)
    looks, colliders = robot_shapes(stage, links), robot_shapes(stage, links, colliders=True)
    size = max(float(np.ptp(positions, axis=0).max()), 0.1) * 0.09
    half = np.sqrt(0.5)
    turns = ((0.0, half, 0.0, half), (-half, 0.0, 0.0, half), (0.0, 0.0, 0.0, 1.0))  # z to x, y and z, as xyzw
    axes = [
        Shape(link, "capsule", (size / 8, size / 2), tuple(size / 2 * np.eye(3)[i]), turns[i], _AXES[i])
        for link in links
        for i in range(3)
    ]
    eyes, targets = follow([positions], links, looks or colliders or axes)
    middle, eye = targets[0], targets[0] + _NEARER * (eyes[0] - targets[0])
    eye[2] = max(eye[2], 0.2)  # above the floor
    panels = []
    for shapes in (looks, colliders, axes):
        camera = Camera(links, shapes, *_PANEL)
        panels.append(camera.draw(positions, orientations, eye, middle))
    with replacing(file) as temporary:
        imsave(temporary, np.concatenate(panels, axis=1))


def _film(robot: Robot, trial: Trial, path: Path) -> None:
    """Film each joint going through its limits, one after the other."""
    import numpy as np

    from omni.myriad.render.video import FRAMES_PER_SECOND, film_robot
    from omni.myriad.robots.trial import at_home

    frames = max(4, int(_FILM_SECONDS * FRAMES_PER_SECOND / len(trial.motion)))
    positions, orientations = [], []
    for places, turns in trial.motion.values():
        moments = np.linspace(0, len(places) - 1, frames).astype(int)
        positions += list(places[moments])
        orientations += list(turns[moments])
    stage, _, _ = at_home(robot)
    film_robot(stage, list(robot.links), positions, orientations, 1 / FRAMES_PER_SECOND, path)


def list_robots(arguments: Sequence[str]) -> int:
    """List the catalogue."""
    if arguments:
        print(f"robots takes no arguments, got: {' '.join(arguments)}", file=sys.stderr)
        return cli.EXIT_BAD_INPUT
    print(f"Robots that pip brings; {COMMAND} import NAME fetches one, and so does a task that asks for it.\n")
    for name, entry in CATALOGUE.items():
        folder = cached_folder(name)
        there = f"imported: {folder / 'picture.png'}" if (folder / "robot.yaml").is_file() else ""
        package = f"{entry.package} {entry.version}, {entry.megabytes} MB"
        print(f"  {name:12} {entry.dofs:3} dof  {entry.licence:38} {package:34} {there}".rstrip())
    return 0
