# SPDX-License-Identifier: Apache-2.0
"""What the numbers that a policy observes and acts with mean: the part of a task that a robot has to know.

A task states its terms once and computes with the very numbers in them; the exported policy file carries them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from omni.myriad.errors import MyriadError

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


ActionKind = Literal["effort", "position", "velocity"]


@dataclass(frozen=True)
class ObservationTerm:
    """A slice of an observation: `size` numbers, each (quantity - offset) * scale.

    Args:
        name: Name of the quantity, unique in the task.
        size: How many numbers.
        unit: Unit of the quantity before scaling, such as "rad/s"; "" for none.
        frame: Frame it is expressed in: "world", "root" (the root link), or a body's name; "" where there is none.
        source: What it is: "joint_position", "joint_velocity" and "last_action" are filled by the runtime, in the order
            of `joint_names` and of the actions; anything else (docs/policy-file.md lists the usual ones) by the robot.
        scale: Factor, for all numbers or one each.
        offset: What is subtracted before, in `unit`, for all numbers or one each.
        joint_names: The joints it belongs to, in order.
        body_names: The bodies it belongs to, in order.
    """

    name: str
    size: int
    unit: str = ""
    frame: str = ""
    source: str = ""
    scale: Numbers = 1.0
    offset: Numbers = 0.0
    joint_names: tuple[str, ...] = ()
    body_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_lengths(self.name, self.size, {"scale": self.scale, "offset": self.offset})
        if self.joint_names and self.size % len(self.joint_names):
            raise MyriadError(
                f"Term {self.name}: {self.size} numbers do not divide among {len(self.joint_names)} joints."
            )


@dataclass(frozen=True)
class ActionTerm:
    """A slice of an action, one number a joint: the joint is commanded action * scale + offset.

    Args:
        kind: What is commanded: "effort" (N or N m), "position" (m or rad) or "velocity" (m/s or rad/s).
        joint_names: The joints, in the order of the actions.
        scale: Factor, for all joints or one each, in `unit`.
        offset: What is added, for all joints or one each, in `unit`.
        clip: Least and greatest command, in `unit`; None where only the action is clipped.
        unit: Unit of the command.
    """

    kind: ActionKind
    joint_names: tuple[str, ...]
    scale: Numbers = 1.0
    offset: Numbers = 0.0
    clip: tuple[float, float] | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(ActionKind):
            raise MyriadError(f"Action kind {self.kind!r} is unknown; choose one of {', '.join(get_args(ActionKind))}.")
        if not self.joint_names:
            raise MyriadError(f"The {self.kind} action names no joints.")
        _check_lengths(f"{self.kind} action", self.size, {"scale": self.scale, "offset": self.offset})

    @property
    def name(self) -> str:
        """Name of the term, such as "joint_effort"."""
        return f"joint_{self.kind}"

    @property
    def size(self) -> int:
        """How many numbers: one a joint."""
        return len(self.joint_names)


def _check_lengths(name: str, size: int, numbers: dict[str, Numbers]) -> None:
    for key, value in numbers.items():
        if isinstance(value, tuple) and len(value) != size:
            raise MyriadError(f"Term {name}: {key} has {len(value)} numbers for {size} elements.")


def describe_terms(
    what: str, terms: Sequence[ObservationTerm] | Sequence[ActionTerm], size: int
) -> list[dict[str, Any]]:
    """Return terms as plain dictionaries with their slices, scale and offset spelt out for each element.

    Args:
        what: "observation" or "action" and the task's name, for messages.
        terms: The terms in order, at least one.
        size: Size of the whole observation or action.

    Raises:
        MyriadError: If the sizes do not add up, or a name is taken twice.
    """
    total = sum(term.size for term in terms)
    if total != size:
        sizes = ", ".join(f"{term.name} {term.size}" for term in terms)
        raise MyriadError(f"The {what} terms add up to {total} numbers where the task has {size}: {sizes}.")
    names = [term.name for term in terms]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice and isinstance(terms[0], ObservationTerm):
        raise MyriadError(f"The {what} terms use the name {twice[0]} twice.")
    described, start = [], 0
    for term in terms:
        plain: dict[str, Any] = {"name": term.name, "slice": [start, start + term.size]}
        for field in fields(term):
            value = getattr(term, field.name)
            if field.name in ("scale", "offset"):
                value = [float(v) for v in value] if isinstance(value, tuple) else [float(value)] * term.size
            plain[field.name] = list(value) if isinstance(value, tuple) else value
        plain.pop("size", None)
        described.append(plain)
        start += term.size
    return described
