# SPDX-License-Identifier: Apache-2.0
"""What makes a robot one that PhysX can step; each change is a line of `Model.changes`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping

import numpy as np

from omni.myriad.errors import MyriadError

from .model import Link, Model, clean, inverse

_SHARE = 1e-3
"""Of a link's mass and inertia, what each link between its several joints gets."""
_TOLERANCE = 0.02
"""By how much an inertia may miss the triangle inequality: CAD programs round."""

_ROUNDING = 1e-6


def repair(
    model: Model,
    keep: Collection[str],
    without: Collection[str],
    fixed_base: bool | None,
    home: Mapping[str, float],
) -> None:
    """Make a robot what PhysX, Isaac Sim and Newton load alike.

    Args:
        model: The robot, changed in place.
        keep: Links that stay links although they are fixed to others.
        without: Of "friction" and "damping" of joints, what is left out.
        fixed_base: Whether the world holds the root; None takes what the file says, or guesses.
        home: Positions of joints to start in, by names or patterns of names.

    Raises:
        MyriadError: If a link's mass or inertia is impossible, or a name is unknown.
    """
    _check_names(model, keep, home)
    _choose_base(model, fixed_base)
    _merge(model, keep)
    _part_joints(model)
    for what in without:
        had = [hinge for hinge in model.dofs() if getattr(hinge, what)]
        largest = max((getattr(hinge, what) for hinge in had), default=0.0)
        for hinge in had:
            setattr(hinge, what, 0.0)
        model.changes.append(f"{what} of {len(had)} joints left out, as asked: up to {largest:g} in the file")
    _check_inertias(model)
    _resolve_mimics(model)
    _choose_home(model, home)


def _choose_base(model: Model, wanted: bool | None) -> None:
    limbs = [hinge for hinge in model.below(model.root) if hinge.kind != "fixed"]
    parent_of = {hinge.child: hinge for hinge in model.hinges}

    def held_by(link: str) -> str:
        """Return the link that a link is fixed to."""
        while link in parent_of and parent_of[link].kind == "fixed":
            link = parent_of[link].parent
        return link

    count = sum(held_by(hinge.parent) == model.root for hinge in limbs)
    if wanted is not None:
        if model.fixed_base is not wanted:
            model.changes.append(f"root {'welded to the world' if wanted else 'freed'}, as fixed_base={wanted} says")
        model.fixed_base = wanted
    elif model.fixed_base is None:
        model.fixed_base = count == 1
        why = "one chain of joints hangs on it" if count == 1 else f"it carries {count} limbs"
        how = "welded to the world" if model.fixed_base else "left free"
        model.changes.append(
            f"root {model.root} {how}, because {why}; fixed_base={not model.fixed_base} says otherwise"
        )


def _merge(model: Model, keep: Collection[str]) -> None:
    """Merge links into those that they are fixed to; a root without mass gives way to what is fixed to it."""
    first = model.children(model.root)
    while (
        len(first) == 1
        and first[0].kind == "fixed"
        and not model.links[model.root].mass
        and not model.links[model.root].shapes
    ):
        old, hinge = model.root, first[0]
        model.turn = model.turn @ hinge.rest[:3, :3]
        model.frames[old] = (hinge.child, inverse(hinge.rest))
        model.root = hinge.child
        model.hinges.remove(hinge)
        del model.links[old]
        model.changes.append(f"root {old} has no mass: {model.root} is the root")
        first = model.children(model.root)
    merged = []
    for hinge in reversed(list(model.below(model.root))):
        if hinge.kind != "fixed" or hinge.child in keep:
            continue
        parent, child, rest = model.links[hinge.parent], model.links[hinge.child], hinge.rest
        _add_mass(parent, child, rest)
        for shape in child.shapes:
            shape.pose = rest @ shape.pose
            if shape.points is not None:
                shape.points = shape.points @ rest[:3, :3].T + rest[:3, 3]
        parent.shapes += child.shapes
        for below in model.children(hinge.child):
            below.parent, below.frame0 = hinge.parent, rest @ below.frame0
        for name, (link, pose) in model.frames.items():
            if link == hinge.child:
                model.frames[name] = (hinge.parent, rest @ pose)
        model.frames[hinge.child] = (hinge.parent, rest)
        model.filtered = [tuple(hinge.parent if end == hinge.child else end for end in pair) for pair in model.filtered]  # type: ignore[misc]
        model.hinges.remove(hinge)
        del model.links[hinge.child]
        merged.append(hinge.child)
    model.filtered = [pair for pair in model.filtered if pair[0] != pair[1]]
    if merged:
        model.changes.append(f"merged into what they are fixed to, and kept as frames: {', '.join(reversed(merged))}")


def _add_mass(parent: Link, child: Link, rest: np.ndarray) -> None:
    """Give a link the mass and inertia of another that is fixed to it, by the parallel axis theorem."""
    if parent.mass is None or child.mass is None:
        # Shapes decide, and they move over.
        if parent.mass or child.mass or bool(parent.total) != bool(child.total):
            raise MyriadError(
                "Of two links that are fixed to each other one has a mass, one only shapes: give both masses."
            )
        parent.mass, parent.total = None, parent.total and child.total and parent.total + child.total
        return
    if not child.mass:
        return
    mass = parent.mass + child.mass
    com_of_child = rest[:3, :3] @ child.com + rest[:3, 3]
    com = (parent.mass * parent.com + child.mass * com_of_child) / mass
    inertia = np.zeros((3, 3))
    for part, turn, place in ((parent, np.eye(3), parent.com), (child, rest[:3, :3], com_of_child)):
        d = place - com
        inertia += turn @ part.inertia @ turn.T + (part.mass or 0.0) * (d @ d * np.eye(3) - np.outer(d, d))
    parent.mass, parent.com, parent.inertia = mass, com, inertia


def _check_names(model: Model, keep: Collection[str], home: Mapping[str, float]) -> None:
    joints = [hinge.name for hinge in model.dofs()]
    for what, name, known in [("keep", n, list(model.links)) for n in keep] + [("home", n, joints) for n in home]:
        if not any(re.fullmatch(name, each) for each in known):
            raise MyriadError(f"{what}={name} is not of this robot, which has: {', '.join(known)}.")


def _part_joints(model: Model) -> None:
    """Give several joints between two links a light link each, in the order in which they turn."""
    for parent, child in list(dict.fromkeys((hinge.parent, hinge.child) for hinge in model.hinges)):
        stack = [hinge for hinge in model.hinges if (hinge.parent, hinge.child) == (parent, child)]
        if len(stack) == 1:
            continue
        link = model.links[child]
        rest = stack[0].rest
        place = model.hinges.index(stack[0])
        above = parent
        for number, hinge in enumerate(stack):
            hinge.frame0 = hinge.frame1 if number else rest @ hinge.frame1
            hinge.parent = above
            if hinge is stack[-1]:
                break
            above = clean(f"{child}_{hinge.name}", model.links)
            hinge.child = above
            model.links[above] = Link(_SHARE * (link.mass or 0.0), link.com.copy(), _SHARE * link.inertia)
        if link.mass:
            link.mass *= 1 - _SHARE * (len(stack) - 1)
            link.inertia = link.inertia * (1 - _SHARE * (len(stack) - 1))
        model.hinges = [hinge for hinge in model.hinges if hinge not in stack]
        model.hinges[place:place] = stack
        names = ", ".join(hinge.name for hinge in stack)
        model.changes.append(
            f"joints {names} between {parent} and {child} got links of a thousandth of its mass between them"
        )


def _check_inertias(model: Model) -> None:
    moving = {hinge.child for hinge in model.below(model.root)}
    for name, link in model.links.items():
        if name not in moving and model.fixed_base:
            continue  # the world holds it
        if link.mass is None:
            continue
        if not math.isfinite(link.mass) or link.mass <= 0:
            raise MyriadError(f"Link {name} moves and has no mass: give it an <inertial> with mass and inertia.")
        moments, axes = np.linalg.eigh(link.inertia)
        if not np.isfinite(moments).all() or moments[0] <= 0:
            raise MyriadError(
                f"Link {name} has an impossible inertia: its principal moments are {_numbers(moments)} kg m^2, and all "
                "must be above 0."
            )
        if moments[2] > (moments[0] + moments[1]) * (1 + _TOLERANCE):
            raise MyriadError(
                f"Link {name} has an impossible inertia: of its principal moments {_numbers(moments)} kg m^2 none may "
                "exceed the sum of the others."
            )
        excess = moments[2] - moments[0] - moments[1]
        if excess > -_ROUNDING * moments[2]:
            moments[:2] += excess / 2 + _ROUNDING * moments[2]
            link.inertia = axes @ np.diag(moments) @ axes.T
        if excess > _ROUNDING * moments[2]:
            model.changes.append(f"inertia of {name} made possible: it missed by {excess / moments[2]:.1%}")


def _numbers(values: np.ndarray) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def _resolve_mimics(model: Model) -> None:
    """Have each joint follow one that follows none; PhysX wants limits on both."""
    hinges = {hinge.name: hinge for hinge in model.hinges}
    for hinge in model.hinges:
        seen = {hinge.name}
        while hinge.mimic and (leader := hinges.get(hinge.mimic[0])) and leader.mimic:
            name, factor, offset = leader.mimic
            if name in seen:
                raise MyriadError(f"Joints {', '.join(sorted(seen))} follow each other in a circle.")
            seen.add(name)
            hinge.mimic = (name, hinge.mimic[1] * factor, hinge.mimic[1] * offset + hinge.mimic[2])
        if hinge.mimic and hinge.mimic[0] not in hinges:
            raise MyriadError(f"Joint {hinge.name} follows {hinge.mimic[0]}, which is no joint that moves.")
        if hinge.mimic:
            for end in (hinge, hinges[hinge.mimic[0]]):
                if not (math.isfinite(end.lower) and math.isfinite(end.upper)):
                    raise MyriadError(
                        f"Joint {end.name} has no limits: those that follow, and are followed, need them."
                    )


def _choose_home(model: Model, home: Mapping[str, float]) -> None:
    """Start joints where they are wanted, or where the file starts them, or at 0, or in the middle of their range."""
    positions, moved = {}, []
    for hinge in model.dofs():
        wanted = (value for pattern, value in home.items() if re.fullmatch(pattern, hinge.name))
        position = next(wanted, model.home.get(hinge.name, hinge.start))
        if position is None:
            position = 0.0
            if not hinge.lower <= position <= hinge.upper:
                position = (hinge.lower + hinge.upper) / 2
                moved.append(hinge.name)
        positions[hinge.name] = min(max(position, hinge.lower), hinge.upper)
    for hinge in model.dofs():
        if hinge.mimic:
            follows = hinge.mimic[1] * positions[hinge.mimic[0]] + hinge.mimic[2]
            positions[hinge.name] = min(max(follows, hinge.lower), hinge.upper)
    model.home = positions
    if moved:
        model.changes.append(f"start in the middle of their range, because 0 is outside it: {', '.join(moved)}")
