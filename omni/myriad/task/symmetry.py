# SPDX-License-Identifier: Apache-2.0
"""How a robot's observations and actions look in a mirror that stands along it, so that what is learned left is right.

The mirror turns y around: x and z of a position or velocity stay, and of a rotation's vector only y does. For the terms
whose sources are `SOURCES` that says all; joints change places by their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

import torch
from torch import Tensor

from omni.myriad.errors import MyriadError
from omni.myriad.task.terms import ActionTerm, Numbers, ObservationTerm

_POSITION, _ROTATION = (1.0, -1.0, 1.0), (-1.0, 1.0, -1.0)
SIGNS: dict[str, tuple[float, ...]] = {
    "root_height": (1.0,),
    "root_linear_velocity": _POSITION,
    "root_angular_velocity": _ROTATION,
    "root_orientation": (1.0, -1.0, 1.0, -1.0),
    "root_roll": (-1.0,),
    "root_pitch": (1.0,),
    "root_yaw": (-1.0,),
    "root_up_projection": (1.0,),
    "root_down": _POSITION,
    "projected_gravity": _POSITION,
    "frame_position": _POSITION,
    "command": (1.0, -1.0, -1.0),  # velocities ahead, aside and of turning
    "target_heading_cosine": (1.0,),
    "target_angle_xz": (-1.0,),  # but for the target's own angle, which is small where it is far
}
"""What becomes of each number of a source, for targets ahead."""


class Mirror(NamedTuple):
    """A vector in the mirror: element k is `signs[k]` times what was at `order[k]`."""

    order: Tensor
    signs: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """Return vectors, (..., size), as they look in the mirror."""
        return values.index_select(-1, self.order) * self.signs


@dataclass(frozen=True)
class Symmetry:
    """What is left and what is right of a robot whose x axis points ahead.

    Args:
        swaps: Parts of names that change places, such as {"LF": "RF", "LH": "RH"}; other names keep theirs.
        flips: Patterns of the joints whose angles change sign, such as "*_hip": as a rule those about x and z.
        signs: Signs of a term's numbers by the term's name, where `SIGNS` has none for its source or others: for all
            of them, or for those of one joint or body.
        orders: By the term's name, where each of its numbers comes from, for those without joints and bodies.
    """

    swaps: Mapping[str, str]
    flips: tuple[str, ...] = ()
    signs: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    orders: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def partner(self, name: str) -> str:
        """Return the name of the joint or body that is where this one is in the mirror."""
        for one, other in self.swaps.items():
            if one in name:
                return name.replace(one, other)
            if other in name:
                return name.replace(other, one)
        return name

    def sign(self, joint: str) -> float:
        """Return -1 for a joint whose angle changes sign, else 1."""
        return -1.0 if any(fnmatchcase(joint, pattern) for pattern in self.flips) else 1.0

    def of_joints(self, names: Sequence[str], device: torch.device | str = "cpu") -> Mirror:
        """Return the mirror of a vector with a number for each joint."""
        order = [_index(names, self.partner(name), name) for name in names]
        return _mirror(order, [self.sign(name) for name in names], device)

    def of_actions(self, terms: Sequence[ActionTerm], device: torch.device | str = "cpu") -> Mirror:
        """Return the mirror of actions."""
        order: list[int] = []
        signs: list[float] = []
        for term in terms:
            mirror, start = self.of_joints(term.joint_names), len(order)
            _check_even(term.name, mirror, term.scale, term.offset, term.size)
            order += [start + place for place in mirror.order.tolist()]
            signs += mirror.signs.tolist()
        return _mirror(order, signs, device)

    def of_observations(
        self, terms: Sequence[ObservationTerm], actions: Sequence[ActionTerm], device: torch.device | str = "cpu"
    ) -> Mirror:
        """Return the mirror of observations.

        Raises:
            MyriadError: If it is not known how a term looks there, or scales of left and right differ.
        """
        order: list[int] = []
        signs: list[float] = []
        for term in terms:
            mirror, start = self._of_term(term, actions), len(order)
            _check_even(term.name, mirror, term.scale, term.offset, term.size)
            order += [start + place for place in mirror.order.tolist()]
            signs += mirror.signs.tolist()
        return _mirror(order, signs, device)

    def _of_term(self, term: ObservationTerm, actions: Sequence[ActionTerm]) -> Mirror:
        if term.source == "last_action":
            return self.of_actions(actions)
        names = term.joint_names or term.body_names
        each = term.size // max(1, len(names))
        if term.name in self.signs:
            signs = self.signs[term.name]
        elif term.joint_names and term.source in ("joint_position", "joint_velocity"):
            signs = self.of_joints(names).signs.tolist()
        else:
            signs = SIGNS.get(term.source, ())
        if len(signs) == each:
            signs = tuple(signs) * max(1, len(names))
        if len(signs) != term.size:
            raise MyriadError(
                f"How observation {term.name} looks in a mirror is not known: say its signs in the task's symmetry."
            )
        if term.name in self.orders:
            order = list(self.orders[term.name])
        elif names:
            places = [_index(names, self.partner(name), name) for name in names]
            order = [place * each + k for place in places for k in range(each)]
        else:
            order = list(range(term.size))
        return _mirror(order, list(signs), "cpu")


def _index(names: Sequence[str], partner: str, name: str) -> int:
    if partner not in names:
        raise MyriadError(f"The task's symmetry says that {name} is {partner} in a mirror, which there is not.")
    return list(names).index(partner)


def _mirror(order: Sequence[int], signs: Sequence[float], device: torch.device | str) -> Mirror:
    return Mirror(torch.tensor(order, device=device), torch.tensor(signs, device=device))


def _check_even(name: str, mirror: Mirror, scale: Numbers, offset: Numbers, size: int) -> None:
    """Raise where a number is scaled or shifted otherwise than its partner: what is seen has no symmetry then."""
    scales, offsets = (torch.tensor(numbers).expand(size) for numbers in (scale, offset))
    for what, numbers, expected in (
        ("scale", scales, scales[mirror.order]),
        ("offset", offsets, mirror(offsets)),
    ):
        if not torch.allclose(numbers, expected, rtol=1e-3, atol=1e-4):
            worst = int((numbers - expected).abs().argmax())
            raise MyriadError(
                f"Term {name}: the {what} of number {worst} is {numbers[worst]:g}, and {expected[worst]:g} in the "
                "mirror: the task's symmetry does not hold for it."
            )
