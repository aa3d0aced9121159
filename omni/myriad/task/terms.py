# SPDX-License-Identifier: Apache-2.0
"""What the numbers that a policy observes and acts with mean: the part of a task that a robot has to know.

A task states its terms once; the framework fills observations from them (task/observation.py), the exported policy file
carries them, and deployment measures them by their sources.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from rich.table import Table

    from omni.myriad.task.rl_task import RLTask

Numbers = float | tuple[float, ...]
"""One number for all elements of a term, or one each."""


def uniform(numbers: Numbers) -> float:
    """Return the one number that a term has for all its elements, for tasks that compute with it.

    Raises:
        MyriadError: If the term has one for each.
    """
    if isinstance(numbers, tuple):
        raise MyriadError(f"One number for all elements was expected, got {len(numbers)}.")
    return numbers


@dataclass(frozen=True)
class Source:
    """A quantity that deployment can measure, or is given, on a robot.

    Args:
        meaning: What it is.
        unit: Its unit, "" for none; a joint that slides has m instead of rad.
        frame: Frame it is expressed in where a term names none.
        size: How many numbers: in all, or for each of the `joint_names` or `body_names`; 0 where the task decides.
    """

    meaning: str
    unit: str = ""
    frame: str = ""
    size: int = 1


SOURCES = {
    "joint_position": Source("of `joint_names`, one element each", "rad"),
    "joint_velocity": Source("of `joint_names`, one element each", "rad/s"),
    "last_action": Source("the whole action before this one, zeros at the start", size=0),
    "root_height": Source("z of the root link", "m", "world"),
    "root_linear_velocity": Source("of the root link, in `frame`", "m/s", "root", 3),
    "root_angular_velocity": Source("of the root link, in `frame`", "rad/s", "root", 3),
    "root_orientation": Source("quaternion (w, x, y, z) from root to world", "", "world", 4),
    "root_roll": Source("rotation about fixed x, then y, then z, in (-pi, pi]", "rad", "world"),
    "root_pitch": Source("rotation about fixed x, then y, then z, in (-pi, pi]", "rad", "world"),
    "root_yaw": Source("rotation about fixed x, then y, then z, in (-pi, pi]", "rad", "world"),
    "root_up_projection": Source("z component, in the world, of the root's z axis", "", "world"),
    "root_down": Source("direction of the root's -z axis", "", "world", 3),
    "projected_gravity": Source("direction of gravity in the root's frame", "", "root", 3),
    "frame_position": Source("of each of `body_names`", "m", "root", 3),
    "frame_orientation": Source("of each of `body_names`: quaternion (w, x, y, z) from it to `frame`", "", "root", 4),
    "frame_axes": Source("of each of `body_names`: its x axis, then its z axis, in `frame`", "", "root", 6),
    "body_velocity": Source(
        "of each of `body_names`, links or other bodies: linear of the centre of mass, then angular, in the world",
        "m/s, rad/s",
        "world",
        6,
    ),
    "object_joint_position": Source('of `joint_names` of things beside the robot, such as "Cabinet/drawer"', "rad"),
    "object_joint_velocity": Source("of `joint_names` of things beside the robot", "rad/s"),
    "target_lead": Source("how far position commands of `joint_names` are ahead of them, 0 at the start", "rad"),
    "command": Source("what is asked of the robot, and not measured: its user says it", size=0),
    "incoming_joint_wrench": Source(
        "force and torque that the joint above each of `body_names` passes to it, in that joint's frame",
        "N, N m",
        "joint",
        6,
    ),
    "target_heading_cosine": Source(
        "Ant's: cosine between the root's x axis and the direction to the target", "", "world"
    ),
    "target_angle_xz": Source("Ant's: angle of the direction to the target in the x-z plane, less yaw", "rad", "world"),
}
"""The usual sources of observations: the one vocabulary of tasks, policy files and deployment."""

NoiseKind = Literal["uniform", "gaussian"]


@dataclass(frozen=True)
class Noise:
    """What a sensor adds by chance.

    Args:
        amount: Half width of a uniform distribution, or the standard deviation of a gaussian one, in the term's unit.
        kind: "uniform" or "gaussian".
    """

    amount: float
    kind: NoiseKind = "uniform"

    def __post_init__(self) -> None:
        if self.kind not in get_args(NoiseKind):
            raise MyriadError(f"Noise {self.kind!r} is unknown; choose one of {', '.join(get_args(NoiseKind))}.")
        if not 0.0 <= self.amount < math.inf:
            raise MyriadError(f"Noise of {self.amount} is invalid: its amount is a number from 0 on.")


@dataclass(frozen=True)
class ObservationTerm:
    """A slice of an observation: `size` numbers, each (quantity - offset) * scale, clipped, with noise added.

    Args:
        name: Name of the quantity, unique in the task.
        size: How many numbers; 0 for what its source says.
        unit: Unit of the quantity before scaling, such as "rad/s"; "" for its source's, or none.
        frame: Frame it is expressed in: "world", "root" (the root link) or a body's name; "" for its source's, or none.
        source: What it is, a key of `SOURCES` or a name of the task's own: joints and the last action are filled by the
            policy's runtime, the other sources are measured by `deploy`, names of the task's own are up to the robot.
        scale: Factor, for all numbers or one each.
        offset: What is subtracted before, in `unit`, for all numbers or one each.
        joint_names: The joints it belongs to, in order.
        body_names: The bodies it belongs to, in order: links or other frames of the robot, or what is beside it, by the
            name under which the task has added it, such as "Cube", and links of that, such as "Cabinet/drawer"; or what
            `commands` gives under that name.
        relative_to: Of a "frame_position", what it is counted from, and of a "frame_orientation" in the world, what
            the body is turned from: a name as in `body_names`; "" for nothing but `frame`.
        clip: Least and greatest value once scaled; None for no bounds.
        noise: What is added once scaled and clipped, unless `test`; None for nothing.
    """

    name: str
    size: int = 0
    unit: str = ""
    frame: str = ""
    source: str = ""
    scale: Numbers = 1.0
    offset: Numbers = 0.0
    joint_names: tuple[str, ...] = ()
    body_names: tuple[str, ...] = ()
    relative_to: str = ""
    clip: tuple[float, float] | None = None
    noise: Noise | None = None

    def __post_init__(self) -> None:
        source = SOURCES.get(self.source)
        if source:
            size = source.size * max(1, len(self.joint_names or self.body_names))
            for key, value in {"size": size, "unit": source.unit, "frame": source.frame}.items():
                object.__setattr__(self, key, getattr(self, key) or value)  # frozen for everybody else
        if self.size < 1:
            raise MyriadError(f"Term {self.name}: give its size, how many numbers it has.")
        _check_lengths(self.name, self.size, {"scale": self.scale, "offset": self.offset})
        turns = (self.source, self.frame) == ("frame_orientation", "world")
        if self.relative_to and not turns and self.source != "frame_position":
            raise MyriadError(
                f"Term {self.name}: relative_to is for frame_position, and for frame_orientation in the world."
            )
        if self.joint_names and self.size % len(self.joint_names):
            raise MyriadError(
                f"Term {self.name}: {self.size} numbers do not divide among {len(self.joint_names)} joints."
            )
        if self.clip and not self.clip[0] < self.clip[1]:
            raise MyriadError(f"Term {self.name}: clip is {self.clip}; the first number must be less than the second.")


ImageType = Literal["uint8", "float32"]


@dataclass(frozen=True)
class ImageTerm:
    """A picture beside the numbers, which reaches the policy under its own name.

    Args:
        name: Name of the picture, unique in the task; "state" is what the numbers together are called.
        shape: Height, width, channels of one picture.
        dtype: "uint8" for colours from 0 to 255, "float32" for anything else, such as depth.
        unit: Unit of an element, such as "m" for depth.
        frame: The body that carries the camera.
        source: What it is, as a camera's annotators are called: "rgb", "depth", "normals".
        channels: What the numbers of a pixel are, in order, such as ("red", "green", "blue").
        stack: How many of the last pictures the policy sees, side by side as channels, the oldest first. At the
            beginning of an episode all are the first one.
        clip: Bounds of a float32 element, such as (0.0, 5.0) where nothing is infinitely far; None for none.
        scale: Factor after clipping, of float32 alone.
    """

    name: str
    shape: tuple[int, int, int]
    dtype: ImageType = "uint8"
    unit: str = ""
    frame: str = ""
    source: str = ""
    channels: tuple[str, ...] = ()
    stack: int = 1
    clip: tuple[float, float] | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.name == STATE:
            raise MyriadError(f"A picture cannot be called {STATE}: that is what the numbers together are called.")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise MyriadError(f"Term {self.name}: shape is (height, width, channels), not {tuple(self.shape)}.")
        if self.dtype not in get_args(ImageType):
            raise MyriadError(f"Term {self.name}: dtype {self.dtype} is none of {', '.join(get_args(ImageType))}.")
        if self.channels and len(self.channels) != self.shape[2]:
            raise MyriadError(f"Term {self.name}: {len(self.channels)} names are given for {self.shape[2]} channels.")
        if self.stack < 1:
            raise MyriadError(f"Term {self.name}: stack={self.stack} must be at least 1.")
        if self.dtype == "uint8" and (self.clip or self.scale != 1.0):
            raise MyriadError(f"Term {self.name}: uint8 is neither clipped nor scaled; make it float32.")

    @property
    def seen_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what the policy sees."""
        return (*self.shape[:2], self.shape[2] * self.stack)


STATE = "state"
"""Key of the numbers where pictures are observed beside them."""

Terms = Sequence[ObservationTerm | ImageTerm]

ActionKind = Literal["effort", "position", "velocity"]


@dataclass(frozen=True)
class ActionTerm:
    """A slice of an action, one number per joint: the joint is commanded action * scale + offset.

    A cumulative one moves the command by action * scale a step, from `offset` at the start of an episode on, and the
    command stays inside `clip` and the joint's limits. A switch is one number for all its joints, of which the sign
    alone counts.

    Args:
        kind: What is commanded: "effort" (N or N m), "position" (m or rad) or "velocity" (m/s or rad/s).
        joint_names: The joints, in the order of the actions.
        scale: Factor, for all joints or one each, in `unit`.
        offset: What is added, for all joints or one each, in `unit`.
        clip: Least and greatest command, in `unit`; None where only the action is clipped.
        unit: Unit of the command.
        cumulative: Whether an action moves the command, instead of being it.
        from_joints: Whether the first command before an action, of a cumulative or smoothed one, is where joints are;
            else a cumulative one begins at `offset`.
        share: How much of a command is new, above 0 and at most 1; the rest is the command before.
        switch: Whether joints are commanded offset + scale where the action is positive, and else offset - scale.
    """

    kind: ActionKind
    joint_names: tuple[str, ...]
    scale: Numbers = 1.0
    offset: Numbers = 0.0
    clip: tuple[float, float] | None = None
    unit: str = ""
    cumulative: bool = False
    from_joints: bool = False
    share: float = 1.0
    switch: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(ActionKind):
            raise MyriadError(f"Action kind {self.kind!r} is unknown; choose one of {', '.join(get_args(ActionKind))}.")
        if not self.joint_names:
            raise MyriadError(f"The {self.kind} action names no joints.")
        smoothed = self.share != 1.0
        if not 0.0 < self.share <= 1.0 or (smoothed and (self.cumulative or not self.from_joints)):
            raise MyriadError(f"Action: share={self.share} must be above 0 and at most 1, and needs from_joints.")
        if self.from_joints and not ((self.cumulative or smoothed) and self.kind == "position"):
            raise MyriadError("Action: only positions that are cumulative or smoothed begin where joints are.")
        if self.switch and (self.cumulative or smoothed):
            raise MyriadError("Action: a switch is neither cumulative nor smoothed.")
        _check_lengths(f"{self.kind} action", len(self.joint_names), {"scale": self.scale, "offset": self.offset})

    @property
    def name(self) -> str:
        """Name of the term, such as "joint_effort"."""
        return f"joint_{self.kind}"

    @property
    def size(self) -> int:
        """How many numbers: one per joint, of a switch one."""
        return 1 if self.switch else len(self.joint_names)


def _check_lengths(name: str, size: int, numbers: dict[str, Numbers]) -> None:
    for key, value in numbers.items():
        if isinstance(value, tuple) and len(value) != size:
            raise MyriadError(f"Term {name}: {key} has {len(value)} numbers for {size} elements.")


def check_terms(what: str, terms: Iterable[ObservationTerm | ImageTerm | ActionTerm], size: int | None) -> int:
    """Return how many numbers terms have together.

    Args:
        what: "observation" or "action" and the task's name, for messages.
        terms: The terms.
        size: How many there must be, None for any number.

    Raises:
        MyriadError: If the sizes do not add up, or a name is taken twice.
    """
    terms = list(terms)
    numbers = [term for term in terms if not isinstance(term, ImageTerm)]
    total = sum(term.size for term in numbers)
    if size is not None and total != size:
        sizes = ", ".join(f"{term.name} {term.size}" for term in numbers)
        raise MyriadError(f"The {what} terms add up to {total} numbers where the task has {size}: {sizes}.")
    names = [term.name for term in terms if not isinstance(term, ActionTerm)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MyriadError(f"The {what} terms use the name {twice[0]} twice.")
    return total


def describe_terms(
    what: str, terms: Sequence[ObservationTerm | ImageTerm] | Sequence[ActionTerm], size: int
) -> list[dict[str, Any]]:
    """Return terms as plain dictionaries with their slices, scale and offset spelt out for each element.

    Pictures have no slice, but the shape and type of an input of their own.

    Args:
        what: "observation" or "action" and the task's name, for messages.
        terms: The terms in order; none describe nothing.
        size: Size of the whole vector that is observed, or of the action.

    Raises:
        MyriadError: If the sizes do not add up, or a name is taken twice.
    """
    check_terms(what, terms, size if terms else None)
    described, start = [], 0
    for term in terms:
        plain: dict[str, Any] = {"name": term.name}
        if not isinstance(term, ImageTerm):
            plain["slice"] = [start, start + term.size]
            start += term.size
        plain |= {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(term).items()}
        if not isinstance(term, ImageTerm):
            count = len(term.joint_names) if isinstance(term, ActionTerm) else term.size
            plain |= {"scale": _each(term.scale, count), "offset": _each(term.offset, count)}
            plain.pop("size", None)
        described.append(plain)
    return described


def _each(numbers: Numbers, size: int) -> list[float]:
    return [float(number) for number in numbers] if isinstance(numbers, tuple) else [float(numbers)] * size


def terms_table(task: RLTask) -> Table:
    """Return a table of what a task observes and commands, for people."""
    from rich.table import Table

    table = Table(title=f"{task.name}: what is observed and commanded", title_justify="left")
    for column in ("term", "slice", "unit", "frame", "scale", "noise"):
        table.add_column(column)
    parts = {
        "observation": (task.observation_terms(), task.num_observations),
        "state": (task.state_terms(), task.num_states),
        "action": (task.action_terms(), task.num_actions),
    }
    for part, (terms, size) in parts.items():
        if not terms and size:
            table.add_row(part, f"0:{size}")
        for term in describe_terms(f"{task.name} {part}", terms, size):
            place = ":".join(map(str, term["slice"])) if "slice" in term else "x".join(map(str, term["shape"]))
            place += f" x {term['stack']} frames" if term.get("stack", 1) > 1 else ""
            noise = term.get("noise")
            table.add_row(
                term["name"],
                place,
                term["unit"] + " a step" * term.get("cumulative", False),
                term.get("frame", ""),
                _short(term["scale"] if isinstance(term.get("scale"), list) else []),
                f"{noise['kind']} {noise['amount']:g}" if noise else "",
            )
        table.add_section()
    return table


def _short(numbers: list[float]) -> str:
    """Return the range of some numbers in a few characters."""
    ends = [f"{number:.3g}" for number in sorted({min(numbers), max(numbers)})] if numbers else []
    return " to ".join(ends)
