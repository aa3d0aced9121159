# SPDX-License-Identifier: Apache-2.0
"""What an imported robot is, as its `robot.yaml` says it, and how one is found by name or file."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omni.myriad.errors import MyriadError
from omni.myriad.places import COMMAND

from .catalogue import CATALOGUE

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

SUFFIXES = (".urdf", ".xml", ".mjcf", ".usd", ".usda", ".usdc", ".usdz")
"""Of files that can be imported."""

FORMAT = 2
"""Changes whenever importing the same file gives another robot: what older versions imported is imported again."""


@dataclass(frozen=True)
class Mimic:
    """A joint that follows another: position = multiplier * position of `joint` + offset."""

    joint: str
    multiplier: float
    offset: float


@dataclass(frozen=True)
class Joint:
    """A degree of freedom; angles in rad, lengths in m, efforts in N m or N.

    Attributes:
        name: In USD and MJCF alike.
        type: "revolute" or "prismatic".
        lower: Limit of the position, -inf where there is none.
        upper: Limit of the position, inf where there is none.
        effort: Largest effort of the drive, inf where there is none.
        velocity: Largest speed, inf where there is none.
        stiffness: Of the drive, per rad or m; 0 where the file names no position control.
        damping: Of the drive; the joint's own damping is in it.
        armature: Inertia of the motor, kg m^2 or kg.
        friction: Dry friction, N m or N.
        mimic: What it follows, or None.
    """

    name: str
    type: str
    lower: float
    upper: float
    effort: float
    velocity: float
    stiffness: float
    damping: float
    armature: float
    friction: float
    mimic: Mimic | None = None


@dataclass(frozen=True)
class Frame:
    """A named pose on a link: position in m and orientation as wxyz, in the link's frame."""

    link: str
    position: Vector
    orientation: Quaternion


@dataclass(frozen=True)
class Home:
    """Where a robot starts: height in m of its root above the ground, 0 for a fixed one, and its joints' positions."""

    height: float
    joints: dict[str, float]


@dataclass(frozen=True)
class Robot:
    """An imported robot: its files, and what `robot.yaml` says.

    Attributes:
        name: Of the robot; the default prim of its USD.
        folder: Holds all of its files.
        licence: Of the source, in words.
        source: The file, and the package and version that brought it.
        fixed_base: Whether its root is welded to the world.
        joints: The degrees of freedom, in the order of PhysX's `dof_names`.
        links: Mass in kg by name, in the order of PhysX's `body_names`; the root first.
        frames: Links that were merged into others, and other named poses, by name.
        home: A pose that it can start in.
        changes: What the import changed, a line each.
    """

    name: str
    folder: Path
    licence: str
    source: str
    fixed_base: bool
    joints: tuple[Joint, ...]
    links: dict[str, float]
    frames: dict[str, Frame]
    home: Home
    changes: tuple[str, ...] = field(default=())

    @property
    def usd(self) -> Path:
        """The USD file, for PhysX, Isaac Sim and Newton."""
        return self.folder / "robot.usda"

    @property
    def mjcf(self) -> Path | None:
        """The MJCF file, for MuJoCo, or None."""
        file = self.folder / "robot.xml"
        return file if file.is_file() else None

    def to_yaml(self) -> str:
        """Return the text of `robot.yaml`."""
        import yaml  # not at the top: the list of robots needs no packages

        values = {name: value for name, value in dataclasses.asdict(self).items() if name != "folder"}
        return yaml.safe_dump({"format": FORMAT, **values}, sort_keys=False, width=120, allow_unicode=True)

    @classmethod
    def read(cls, folder: Path) -> Robot:
        """Read the robot that was imported into a folder.

        Raises:
            MyriadError: If there is none, or another version of Myriad wrote it.
        """
        import yaml

        file = folder / "robot.yaml"
        try:
            values: dict[str, Any] = yaml.safe_load(file.read_text())
            written = values.pop("format")
            joints = [
                Joint(**{**joint, "mimic": joint["mimic"] and Mimic(**joint["mimic"])})
                for joint in values.pop("joints")
            ]
            frames = {
                name: Frame(frame["link"], tuple(frame["position"]), tuple(frame["orientation"]))
                for name, frame in values.pop("frames").items()
            }
            home, changes = Home(**values.pop("home")), tuple(values.pop("changes"))
            robot = cls(folder=folder, joints=tuple(joints), frames=frames, home=home, changes=changes, **values)
        except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise MyriadError(
                f"{file} is not what {COMMAND} import writes ({error}): import the robot again."
            ) from None
        if written != FORMAT:
            raise MyriadError(f"{file} was written by another version of Myriad: import the robot again.")
        return robot


def cache_folder() -> Path:
    """Return the folder of what is fetched, made and imported: $MYRIAD_CACHE, else myriad/ in the user's cache."""
    if folder := os.environ.get("MYRIAD_CACHE"):
        return Path(folder).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "myriad"


def cached_folder(name: str) -> Path:
    """Return where the import of a catalogue's robot, or of a file by its path, lies or would lie.

    The folder's name ends with a hash of what decides: the entry and its package's version, or the file's bytes.

    Raises:
        MyriadError: If there is neither such a robot nor such a file.
    """
    if name in CATALOGUE:
        entry = CATALOGUE[name]
        label, decides = f"{name}-{entry.version}", repr(entry).encode()
    elif (file := Path(name).expanduser()).is_file() and file.suffix.lower() in SUFFIXES:
        label, decides = file.stem, str(file.resolve()).encode() + file.read_bytes()
    else:
        raise MyriadError(_unknown(name))
    return cache_folder() / "robots" / f"{label}-{hashlib.sha256(decides + bytes([FORMAT])).hexdigest()[:8]}"


def find(name_or_path: str | os.PathLike[str]) -> Robot:
    """Return a robot of the catalogue by name, or one from a file; it is fetched and imported if it is not yet.

    The import runs in a process of its own, prints what it does and takes about a minute, the first ever a little more.

    Args:
        name_or_path: A name that `./myriad robots` lists, a URDF, MJCF or USD file, or a folder that
            `./myriad import` wrote.

    Raises:
        MyriadError: If there is no such robot, or it cannot be imported.
    """
    name = os.fspath(name_or_path)
    if name not in CATALOGUE and (Path(name).expanduser() / "robot.yaml").is_file():
        return Robot.read(Path(name).expanduser().resolve())
    folder = cached_folder(name)
    if not (folder / "robot.yaml").is_file():
        command = [sys.executable, "-m", "omni.myriad", "import", name, "film=False"]
        # What it prints belongs to the user; what this process prints may be somebody's data.
        if subprocess.run(command, stdout=sys.stderr.fileno(), check=False).returncode:
            raise MyriadError(f"{name} could not be imported; the reason is above.")
    return Robot.read(folder)


def _unknown(name: str) -> str:
    if Path(name).suffix.lower() in SUFFIXES:
        return f"There is no file {name}."
    near = [known for known in CATALOGUE if name.lower() in known or known in name.lower()]
    near += difflib.get_close_matches(name.lower(), CATALOGUE, 3)
    hint = f"did you mean {', '.join(dict.fromkeys(near))}?" if near else f"they are: {', '.join(CATALOGUE)}."
    kinds = ", ".join(SUFFIXES)
    return f"{name} is neither a file ({kinds}) nor a robot of the catalogue ({COMMAND} robots): {hint}"
