# SPDX-License-Identifier: Apache-2.0
"""Run an exported policy with numpy and onnxruntime alone; this one file can be copied to a robot.

    policy = Policy("policy.onnx", joint_names=robot.joint_names)
    while policy.due():
        command = policy.act(robot.positions, robot.velocities, {"root_height": 0.5}, stamp=robot.stamp)
        robot.apply(command.effort)

omni/myriad/policy/benchmark.py describes a file and measures how long it takes.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

METADATA_KEY = "myriad"
SCHEMA_VERSION = 4
TOLERANCE = 1e-4
"""Greatest difference of an action in the self-test: another processor rounds sums in another order."""
PICTURE_TOLERANCE = 1e-3
"""The same for policies that see pictures, whose convolutions round more: of a trained CartpoleCamera onnxruntime's
actions were 1e-4 from the same file's in float64 on one processor, torch's 7e-6, and the two 2e-4 apart at most."""
LARGEST = 1e6
"""No scale, offset, limit or clip of a robot's joint is larger, in any unit: such a number is damage."""

_SEAL = b"\x72\x51\x0a\x0dmyriad_sha256\x12\x40"
"""What begins the last bytes of a file: in ONNX's own format, a metadata property whose value is 64 characters long."""

POSE_SOURCES = {"frame_position": 3, "frame_orientation": 4, "frame_axes": 6}
"""Sources that follow from where things are, and how many numbers they have for each of a term's `body_names`."""

Values = Mapping[str, float] | Sequence[float] | np.ndarray


class PolicyError(Exception):
    """Say in one line what is wrong with a policy's file, or with what it is given."""


@dataclass
class Command:
    """What the joints shall do until the next command: by kind, then by joint, in the robot's order.

    Attributes:
        effort: N or N m.
        position: m or rad.
        velocity: m/s or rad/s.
    """

    effort: dict[str, float] = field(default_factory=dict)
    position: dict[str, float] = field(default_factory=dict)
    velocity: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Output:
    """The part of an action that commands joints in one way, in the robot's order."""

    kind: str
    names: list[str]
    places: np.ndarray
    index: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cumulative: bool
    from_joints: bool
    share: float
    switch: bool


class Policy:
    """A policy from its file: measurements in, joint commands out.

    Args:
        path: The .onnx file.
        joint_names: The robot's joints in its own order; more than the policy knows are fine. By default the
            policy's.
        max_age: Oldest measurement to act on, in seconds; by default two control periods.
        clock: Seconds, on the same clock as the stamps given to `act`.

    Attributes:
        metadata: Everything the file says about itself; see docs/policy-file.md.
        joint_names: The robot's joints, in the order in which `act` takes measurements.
        control_dt: Seconds from one action to the next.
        required: The observation terms that `act` must be given, by name: {"slice", "unit", "frame", "source", ...}.
        places: What some of `required` follow from, so that `act` can be given the poses of these instead: "root",
            links and frames of the robot, things beside it, such as "Cube", and what is commanded, such as "target".
        term_places: Those of `places` that each such term of `required` follows from, by its name.
        images: The pictures that `act` must be given, by name: {"shape", "dtype", "channels", "stack", ...}, one at a
            time, as the camera took it.
        inputs: Shape and type of each observation that `infer` takes, by name.
        can_act: Whether the file says which joints are observed and commanded; without, there is only `infer`.
        missed: How many control periods `due` found skipped.

    Raises:
        PolicyError: If the file is missing, damaged, of a newer schema, does not pass its self-test, or needs joints
            that the robot lacks. Nothing else is raised, whatever the file holds.
    """

    def __init__(
        self,
        path: str | Path,
        joint_names: Sequence[str] | None = None,
        max_age: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session, sealed = _open(Path(path))
        try:
            self.metadata = _read_metadata(self._session, path, sealed)
            _check_metadata(self.metadata, self._session)
            self._prepare(joint_names)
        except PolicyError:
            raise
        except Exception as error:  # whatever a damaged file can make of JSON
            reason = " ".join(str(error).split())
            raise PolicyError(f"{path}: its metadata is damaged ({type(error).__name__}: {reason})") from error
        self.max_age = 2.0 * self.control_dt if max_age is None else max_age
        if not 0.0 < self.max_age < math.inf:
            raise PolicyError(f"max_age={max_age} must be a number of seconds above 0")
        self._clock = clock
        self.missed = 0
        self.reset()
        self.self_test()

    def _prepare(self, joint_names: Sequence[str] | None) -> None:
        meta = self.metadata
        self.control_dt = float(meta["timing"]["control_dt"])
        own = meta["joints"]["names"] if meta["joints"] else []
        self.joint_names = list(own if joint_names is None else joint_names)
        place = {name: index for index, name in enumerate(self.joint_names)}
        if len(place) != len(self.joint_names):
            raise PolicyError("joint_names names a joint twice")
        self.inputs = {
            name: (tuple(part["shape"]), np.dtype(part["dtype"]))
            for name, part in meta["observations"]["inputs"].items()
        }
        self._states = [(s["input"], (s["layers"], s["units"]), s["initial"]) for s in meta["recurrent"]]
        self._output_names = list(meta["graph"]["outputs"])
        self._action_size = _action_size(meta["actions"]["space"])
        needed = {name for term in meta["actions"]["terms"] for name in term["joint_names"]}
        self.required: dict[str, dict[str, Any]] = {}
        gathers: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"joint_position": [], "joint_velocity": []}
        self._last_action_slots = []
        self._leads: dict[str, tuple[slice, list[str], list[int]]] = {}
        self.term_places: dict[str, list[str]] = {}
        terms = meta["observations"]["terms"]
        self._size = max((term["slice"][1] for term in terms), default=0)
        self.images = {term["name"]: term for term in meta["observations"].get("images", [])}
        self._offset, self._scale = np.zeros(self._size, np.float32), np.ones(self._size, np.float32)
        self._low, self._high = np.full(self._size, -np.inf, np.float32), np.full(self._size, np.inf, np.float32)
        for term in terms:
            start, stop = term["slice"]
            if term["scale"] is not None:
                self._offset[start:stop], self._scale[start:stop] = term["offset"], term["scale"]
            if term.get("clip"):
                self._low[start:stop], self._high[start:stop] = term["clip"]
            if term["source"] in gathers and len(term["joint_names"]) == stop - start:
                needed |= set(term["joint_names"])
                where = [place.get(name, -1) for name in term["joint_names"]]
                gathers[term["source"]].append((np.arange(start, stop), np.array(where)))
            elif term["source"] == "last_action" and stop - start == self._action_size:
                self._last_action_slots.append(slice(start, stop))
            elif term["source"] == "target_lead" and len(term["joint_names"]) == stop - start:
                needed |= set(term["joint_names"])
                where = [place.get(name, -1) for name in term["joint_names"]]
                self._leads[term["name"]] = slice(start, stop), term["joint_names"], where
            else:
                self.required[term["name"]] = term
                if stop - start == POSE_SOURCES.get(term["source"], 0) * len(term["body_names"]):
                    self.term_places[term["name"]] = _places(term)
        self.places = list(dict.fromkeys(name for names in self.term_places.values() for name in names))
        missing = [name for name in own if name in needed and name not in place]
        if missing:
            raise PolicyError(f"the robot lacks joints that the policy needs: {', '.join(missing)}")
        self._positions, self._velocities = (
            tuple(np.concatenate(parts) for parts in zip(*gathers[source], strict=True)) if gathers[source] else None
            for source in ("joint_position", "joint_velocity")
        )
        self._outputs = _outputs(meta["actions"]["terms"], place, meta["joints"])
        self._vector = next((name for name in ("obs", "state") if name in self.inputs), None)
        others = set(self.inputs) - {self._vector}
        fits = self._vector is None or self.inputs[self._vector][0] == (self._size,)
        fits &= bool(self.inputs) and others == set(self.images)
        self.can_act = fits and bool(self._outputs) and meta["actions"]["space"]["kind"] == "box"
        self._quantities = np.zeros(self._size, np.float32)

    # -- acting -------------------------------------------------------------------------------------------------------

    def reset(self, batch: int = 1) -> None:
        """Begin an episode: zero recurrent states, no last action or measurement, cumulative commands at their start.

        Args:
            batch: How many observations `infer` is given at once.
        """
        self._memory = {
            name: np.full((layers, batch, units), initial, np.float32)
            for name, (layers, units), initial in self._states
        }
        self._batch = batch
        self.last_action = np.zeros(self._action_size, np.float32)
        self._frames: dict[str, np.ndarray] = {}
        # What an action of 0 commands: cumulative commands go on from the last ones.
        self._bases: list[Any] = [None if output.from_joints else output.offset for output in self._outputs]
        self._targets: dict[str, float] = {}
        self._last_stamp = -math.inf
        self._next_due: float | None = None

    def due(self, now: float | None = None) -> bool:
        """Tell whether a control period has passed since the last True, on the control rate's own grid.

        Periods that were skipped are counted in `missed`, and not made up for.

        Args:
            now: Seconds on the clock; by default the clock's.
        """
        now = self._clock() if now is None else now
        if not math.isfinite(now):
            raise PolicyError(f"the time is {now}")
        if self._next_due is None:
            self._next_due = now
        if now < self._next_due - 1e-9:
            return False
        skipped = int((now - self._next_due + 1e-9) // self.control_dt)
        self.missed += skipped
        self._next_due += (skipped + 1) * self.control_dt
        return True

    def act(
        self,
        joint_positions: Values,
        joint_velocities: Values,
        terms: Mapping[str, Any] | None = None,
        stamp: float | None = None,
        now: float | None = None,
        images: Mapping[str, Any] | None = None,
        poses: Mapping[str, Any] | None = None,
    ) -> Command:
        """Return commands for the joints; call it once a control period.

        Args:
            joint_positions: In m or rad: by name, or in the order of `joint_names`.
            joint_velocities: In m/s or rad/s, likewise.
            terms: The other quantities of `required`, by name, in their unit and frame, before scaling.
            stamp: When it was measured, in seconds on the clock; None: not checked.
            now: The present, in seconds on the clock; by default the clock's.
            images: The pictures of `images`, by name, (height, width, channels), as the camera took them: the last ones
                of each are kept here, where the policy sees several.
            poses: Where things are, of `places`: those of `required` that `terms` lacks are worked out from these. By
                name x, y, z in m, and w, x, y, z of a quaternion where the thing is turned; in any one frame that has
                the world's axes in training, in which the root stands as the metadata's `initial_pose` says.

        Raises:
            PolicyError: If something is missing, of the wrong size, not finite, or too old; the states are left alone.
        """
        if not self.can_act:
            raise PolicyError("this policy's file does not say which joints it observes and commands: use infer()")
        if stamp is not None:
            self._check_stamp(stamp, self._clock() if now is None else now)
        quantities, terms = self._quantities, terms or {}
        for gather, values, what in (
            (self._positions, joint_positions, "joint_positions"),
            (self._velocities, joint_velocities, "joint_velocities"),
        ):
            if gather is not None:
                slots, places = gather
                quantities[slots] = self._in_order(values, what)[places]
        for slots in self._last_action_slots:
            quantities[slots] = self.last_action
        bases = self._bases
        if self._leads or any(base is None for base in bases):
            positions = self._in_order(joint_positions, "joint_positions")
            bases = self._begin(positions)
            self._look_at_targets(positions, terms)
        self._take_terms(terms, poses or {})
        if not np.isfinite(quantities).all():
            raise PolicyError(self._name_what_is_not_finite())
        seen = self._see(images or {})
        if self._vector is not None:
            seen[self._vector] = np.clip((quantities - self._offset) * self._scale, self._low, self._high)
        action = self.infer(seen)
        self.last_action = action
        self._frames = {name: seen[name] for name in self.images}
        command = Command()
        for i, (output, base) in enumerate(zip(self._outputs, bases, strict=True)):
            wanted = np.where(action[output.index] > 0.0, 1.0, -1.0) if output.switch else action[output.index]
            if output.cumulative:
                values = wanted * output.scale + base
            else:
                values = output.share * (wanted * output.scale + output.offset)
                values += (1.0 - output.share) * base
            values = np.clip(values, output.low, output.high)
            if not np.isfinite(values).all():
                raise PolicyError(f"the {output.kind} commanded is not finite")
            if output.cumulative or output.share < 1.0:
                self._bases[i] = values
            getattr(command, output.kind).update(zip(output.names, values.tolist(), strict=True))
        self._targets.update(command.position)
        return command

    def _begin(self, positions: np.ndarray) -> list[np.ndarray]:
        """Return what commands go on from: those of the last action, or what they begin at."""
        bases = [
            positions[output.places].astype(np.float64) if base is None else base
            for output, base in zip(self._outputs, self._bases, strict=True)
        ]
        if not all(np.isfinite(base).all() for base in bases):
            raise PolicyError("joint_positions lacks joints that commands begin from, or they are not finite")
        return bases

    def _look_at_targets(self, positions: np.ndarray, terms: Mapping[str, Any]) -> None:
        """Observe how far commands are ahead of joints."""
        for name, (slots, joints, where) in self._leads.items():
            measured = positions[where].astype(np.float64)
            targets = np.array([self._targets.get(joint, at) for joint, at in zip(joints, measured, strict=True)])
            self._quantities[slots] = terms[name] if name in terms else targets - measured

    def infer(self, observations: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the action for whole observations.

        Args:
            observations: As in training, scaled but neither clipped nor normalised, which the file does: (*shape), or
                (batch, *shape), with recurrent states after `reset(batch)`; by input name for policies with several.

        Raises:
            PolicyError: If a shape is wrong or a number not finite.
        """
        given = observations if isinstance(observations, Mapping) else {"obs": observations}
        feed: dict[str, np.ndarray] = dict(self._memory)
        single = True
        for name, (shape, dtype) in self.inputs.items():
            if name not in given:
                raise PolicyError(f"observation {name!r} is missing; given: {', '.join(given) or 'none'}")
            value = _array(given[name], f"observation {name!r}", dtype)
            single = value.ndim == len(shape)
            value = value[None] if single else value
            if value.shape[1:] != shape or (self._memory and len(value) != self._batch):
                wanted = f"{shape} or ({self._batch if self._memory else 'batch'}, *{shape})"
                raise PolicyError(f"observation {name!r} has shape {np.shape(given[name])}, not {wanted}")
            if dtype.kind == "f" and not np.isfinite(value).all():
                where = np.argwhere(~np.isfinite(value))[0].tolist()
                raise PolicyError(f"observation {name!r} is not finite at {where}")
            feed[name] = value
        try:
            action, *states = self._session.run(self._output_names, feed)
        except Exception as error:  # onnxruntime has a class of error for everything that a graph can do
            raise PolicyError(f"the policy cannot be run: {' '.join(str(error).split())}") from error
        if action.size != len(value) * self._action_size:
            raise PolicyError(f"the policy's actions have shape {action.shape}, not {self._action_size} numbers each")
        if not np.isfinite(action).all():
            raise PolicyError("the policy's action is not finite")
        for (name, _, _), state in zip(self._states, states, strict=True):
            self._memory[name] = state
        return action[0].reshape(-1) if single else action

    def _see(self, images: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return pictures as the policy sees them: clipped, scaled, and the last ones side by side."""
        if unknown := sorted(set(images) - set(self.images)):
            raise PolicyError(f"image {unknown[0]!r} is unknown; act() needs: {', '.join(self.images) or 'none'}")
        seen = {}
        for name, term in self.images.items():
            if name not in images:
                raise PolicyError(f"image {name!r} is missing; act() needs: {', '.join(self.images)}")
            picture, shape = np.asarray(images[name]), tuple(term["shape"])
            if picture.shape != shape or picture.dtype != np.dtype(term["dtype"]):
                raise PolicyError(
                    f"image {name!r} is {picture.dtype} of shape {picture.shape}, not {term['dtype']} of {shape}"
                )
            if term.get("clip"):
                picture = picture.clip(*np.array(term["clip"], np.float32))
            if term.get("scale", 1.0) != 1.0:
                picture = picture * np.float32(term["scale"])
            stack = int(term.get("stack", 1))
            last = self._frames.get(name)
            older = np.tile(picture, (1, 1, stack)) if last is None else last
            seen[name] = np.concatenate((older[..., shape[2] :], picture), axis=2)
        return seen

    def _check_stamp(self, stamp: float, now: float) -> None:
        age = now - stamp
        if not age <= self.max_age:
            raise PolicyError(f"the measurement is {age:.3f} s old, more than {self.max_age:.3f} s: stale")
        if stamp < self._last_stamp:
            raise PolicyError(f"the measurement is {self._last_stamp - stamp:.3f} s older than the one before it")
        self._last_stamp = stamp

    def _in_order(self, values: Values, what: str) -> np.ndarray:
        if isinstance(values, Mapping):
            # Joints the policy does not need may be absent, and are then not looked at.
            row = _array([values.get(name, math.nan) for name in self.joint_names], what)
            missing = [name for name in self.joint_names if name not in values and self._is_needed(name)]
            if missing:
                raise PolicyError(f"{what} lacks {', '.join(missing)}")
            return row
        row = _array(values, what)
        if row.shape != (len(self.joint_names),):
            raise PolicyError(f"{what} has shape {row.shape}, not ({len(self.joint_names)},), one per joint")
        return row

    def _is_needed(self, name: str) -> bool:
        own = self.metadata["joints"]["names"]
        return name in own and any(name in term["joint_names"] for term in self.metadata["observations"]["terms"])

    def _take_terms(self, terms: Mapping[str, Any], poses: Mapping[str, Any]) -> None:
        for name, term in self.required.items():
            if name in terms:
                given = terms[name]
            elif poses and name in self.term_places:
                if lacking := [place for place in self.term_places[name] if place not in poses]:
                    raise PolicyError(f"observation term {name!r} needs the pose of {lacking[0]!r}")
                given = from_poses(term, poses)
            else:
                raise PolicyError(f"observation term {name!r} is missing; act() needs: {', '.join(self.required)}")
            start, stop = term["slice"]
            value = _array(given, f"observation term {name!r}").reshape(-1)
            if value.size != stop - start:
                raise PolicyError(f"observation term {name!r} has {value.size} numbers, not {stop - start}")
            self._quantities[start:stop] = value
        if len(terms) + len(poses) > len(self.required):
            known = {"act() needs": self.required, "there are poses of": self.places}
            for given, (what, names) in zip((terms, poses), known.items(), strict=True):
                if unknown := sorted(set(given) - set(names) - set(self._leads)):
                    kind = "observation term" if given is terms else "pose of"
                    raise PolicyError(f"{kind} {unknown[0]!r} is unknown; {what}: {', '.join(names) or 'none'}")

    def _name_what_is_not_finite(self) -> str:
        at = int(np.flatnonzero(~np.isfinite(self._quantities))[0])
        terms = self.metadata["observations"]["terms"]
        term = next(term for term in terms if term["slice"][0] <= at < term["slice"][1])
        joints, element = term["joint_names"], at - term["slice"][0]
        where = joints[element] if element < len(joints) else f"element {element}"
        return f"the measurement of {term['name']} ({where}) is {self._quantities[at]}"

    # -- testing ------------------------------------------------------------------------------------------------------

    def self_test(self) -> float:
        """Replay the golden pairs in the file, from joints to commands where it names these; the states are reset.

        Returns:
            The greatest difference between two actions.

        Raises:
            PolicyError: If it exceeds `TOLERANCE`, or a command differs by more than its scale makes of that.
        """
        try:
            golden = self.metadata["golden"]
            inputs = {
                name: _array(golden["observations"][name], name, dtype) for name, (_, dtype) in self.inputs.items()
            }
            wanted = np.array(golden["actions"], np.float64)
            self.reset()
            if golden["sequential"]:
                rows = [self.infer({name: values[i] for name, values in inputs.items()}) for i in range(len(wanted))]
                got = np.stack(rows)
            else:
                got = self.infer(inputs).reshape(len(wanted), -1)
            error = float(np.max(np.abs(got - wanted)))
            if self.can_act and "commands" in golden:
                self._test_commands(golden)
        except PolicyError:
            raise
        except Exception as error:
            raise PolicyError(f"the golden pairs are damaged ({type(error).__name__}: {error})") from error
        self.reset()
        tolerance = PICTURE_TOLERANCE if self.images else TOLERANCE
        if not error <= tolerance:
            raise PolicyError(f"self-test failed: actions differ by {error:.3g}, more than {tolerance:g}")
        return error

    def _test_commands(self, golden: Mapping[str, Any]) -> None:
        """Act on what was measured in each golden pair, joints given by name, and compare the commands."""
        scales = {
            (output.kind, name): max(1.0, abs(scale))
            for output in self._outputs
            for name, scale in zip(output.names, output.scale, strict=True)
        }
        own = set(self.metadata["joints"]["names"])
        self.reset()
        rows = zip(golden["measurements"], golden["commands"], golden["actions"], strict=True)
        for measured, wanted, action in rows:
            row = np.array(measured, np.float32)
            joints = []
            for gather in (self._positions, self._velocities):
                values = dict.fromkeys(own, 0.0)
                if gather is not None:
                    names = [self.joint_names[place] for place in gather[1]]
                    values |= dict(zip(names, row[gather[0]].tolist(), strict=True))
                joints.append(values)
            for slots in self._last_action_slots:
                self.last_action = row[slots]
            terms = {name: row[slice(term["slice"][0], term["slice"][1])] for name, term in self.required.items()}
            terms |= {name: row[slots] for name, (slots, _, _) in self._leads.items()}
            command = self.act(joints[0], joints[1], terms)
            if not golden["sequential"]:
                self.reset()
            # Which way a switch goes at 0 is up to rounding.
            unsure = {
                (output.kind, name)
                for output in self._outputs
                if output.switch and abs(action[output.index[0]]) <= TOLERANCE
                for name in output.names
            }
            for kind, names in vars(command).items():
                if set(names) != set(wanted[kind]):
                    raise PolicyError(f"self-test failed: it commands the {kind} of other joints than it should")
                for name, value in names.items():
                    near = abs(value - wanted[kind][name]) <= TOLERANCE * scales[kind, name]
                    if not near and (kind, name) not in unsure:
                        raise PolicyError(
                            f"self-test failed: the {kind} of {name} is {value:g}, not {wanted[kind][name]:g}"
                        )


def from_poses(term: Mapping[str, Any], poses: Mapping[str, Any]) -> np.ndarray:
    """Return what a term of one of `POSE_SOURCES` measures, before scaling.

    A position is counted from what the term is `relative_to`, or else from its `frame`, along the axes of that.

    Args:
        term: The term.
        poses: x, y, z in m, and w, x, y, z where it is turned, of the term's places, as for `Policy.act`.
    """
    at = {name: _pose(name, poses[name]) for name in _places(term)}
    origin, turn = at.get(term["frame"], (np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])))
    back = turn * _CONJUGATE
    other = at.get(term.get("relative_to", ""))
    rows = []
    for position, orientation in (at[name] for name in term["body_names"]):
        if term["source"] == "frame_position":
            rows.append(_rotated(back, position - (other[0] if other else origin)))
        elif term["source"] == "frame_orientation":
            rows.append(_product(back, _product(orientation, other[1] * _CONJUGATE) if other else orientation))
        else:
            turned = _product(back, orientation)
            rows += [_rotated(turned, np.array(axis)) for axis in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0))]
    return np.concatenate(rows)


_CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])


def _places(term: Mapping[str, Any]) -> list[str]:
    """Return what a term's measurement follows from: its bodies, and what they are seen from."""
    others = (term.get("relative_to", ""), term["frame"])
    return [*term["body_names"], *(name for name in others if name not in ("", "world"))]


def _pose(name: str, numbers: Any) -> tuple[np.ndarray, np.ndarray]:
    pose = _array(numbers, f"the pose of {name!r}", np.float64).reshape(-1)
    if pose.size not in (3, 7) or not np.isfinite(pose).all():
        raise PolicyError(f"the pose of {name!r} is {pose.tolist()}, not x, y, z, or these and w, x, y, z")
    turn = pose[3:] if pose.size == 7 else np.array([1.0, 0.0, 0.0, 0.0])
    if abs(np.linalg.norm(turn) - 1.0) > 1e-3:
        raise PolicyError(f"the quaternion of {name!r} has a length of {np.linalg.norm(turn):g}, not 1")
    return pose[:3], turn


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    vector = a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])
    return np.array([a[0] * b[0] - a[1:] @ b[1:], *vector])


def _rotated(turn: np.ndarray, vector: np.ndarray) -> np.ndarray:
    across = 2.0 * np.cross(turn[1:], vector)
    return vector + turn[0] * across + np.cross(turn[1:], across)


def seal(data: bytes) -> bytes:
    """Return a serialised model without a seal with its hash behind it, as `Policy` demands it."""
    return data + _SEAL + hashlib.sha256(data).hexdigest().encode()


def _check_seal(data: bytes, path: Path) -> bool:
    """Return whether a file carries its hash.

    Raises:
        PolicyError: If the file is not what was hashed.
    """
    end = len(data) - 64
    if data[max(0, end - len(_SEAL)) : max(0, end)] != _SEAL:
        return False
    if hashlib.sha256(data[: end - len(_SEAL)]).hexdigest().encode() != data[end:]:
        raise PolicyError(f"{path} is damaged: it is not what was exported, by its own hash")
    return True


def _open(path: Path) -> tuple[Any, bool]:
    """Return a session with the file's graph, and whether the file carries its hash."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise PolicyError(f"{path} does not exist") from None
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror}") from None
    sealed = _check_seal(data, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # waking a second thread costs more than it does
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]), sealed
    except Exception as error:  # onnxruntime has a class of error for every way in which a file can be broken
        reason = " ".join(str(error).split())
        raise PolicyError(f"{path} is damaged, or needs a newer onnxruntime: {reason}") from error


def _read_metadata(session: Any, path: str | Path, sealed: bool) -> dict[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise PolicyError(f"{path} has no Myriad metadata; export it with ./myriad export")
    meta = json.loads(text)
    version = int(meta["schema_version"])
    if version > SCHEMA_VERSION:
        raise PolicyError(f"{path} has schema {version}, this runtime reads up to {SCHEMA_VERSION}: update the runtime")
    if version >= 2 and not sealed:
        raise PolicyError(f"{path} is damaged: the hash at its end is missing")
    if not sealed:
        warnings.warn(f"{path} was exported without a hash, so damage may go unnoticed: export it again", stacklevel=4)
    return meta


# -- what metadata must be: sizes that agree, finite numbers, limits in order -----------------------------------------


def _check_metadata(meta: Mapping[str, Any], session: Any) -> None:
    """Raise unless everything that `Policy` uses is as it must be, and fits the graph."""
    timing = meta["timing"]
    control_dt = _number(timing["control_dt"], "control_dt", 1e-5, 1e3)
    physics_dt, decimation = _number(timing["physics_dt"], "physics_dt", 1e-6, 1e3), timing["decimation"]
    _demand(decimation == int(decimation) and decimation >= 1, f"decimation is {decimation}")
    _demand(
        math.isclose(control_dt, physics_dt * decimation, rel_tol=1e-6), "control_dt is not physics_dt * decimation"
    )
    shapes = {part.name: part.shape[1:] for part in session.get_inputs()}
    own = {name: list(part["shape"]) for name, part in meta["observations"]["inputs"].items()}
    own |= {state["input"]: [None, state["units"]] for state in meta["recurrent"]}
    _demand(bool(own) and set(own) == set(shapes), f"the graph takes {sorted(shapes)}, not {sorted(own)}")
    for name, shape in shapes.items():
        fits = len(shape) == len(own[name]) and all(
            a == b or None in (a, b) for a, b in zip(shape, own[name], strict=True)
        )
        _demand(fits, f"{name} has shape {own[name]}, in the graph {shape}")
    outputs = ["actions", *(state["output"] for state in meta["recurrent"])]
    made = [part.name for part in session.get_outputs()]
    _demand(meta["graph"]["outputs"] == outputs == made, f"the graph returns {made}, not {outputs}")
    for state in meta["recurrent"]:
        layers = next(part.shape[0] for part in session.get_inputs() if part.name == state["input"])
        _demand(state["layers"] == layers, f"{state['input']} has {state['layers']} layers, in the graph {layers}")
        _number(state["initial"], f"{state['input']} at the start")
    names = meta["joints"]["names"] if meta["joints"] else []
    _demand(all(isinstance(name, str) for name in names) and len(set(names)) == len(names), "joint names are doubled")
    if meta["joints"]:
        _limits(meta["joints"])
    stop = 0
    images = meta["observations"].get("images", [])
    vector = "obs" if list(own) == ["obs"] else "state" if images and "state" in own else ""
    for term in meta["observations"]["terms"]:
        stop = _check_term(term, stop, names) if vector else 0
    _demand(not vector or math.prod(own[vector]) == stop, "terms do not add up to the observation")
    for image in images:
        _check_image(image, own)
    stop = 0
    for term in meta["actions"]["terms"]:
        stop = _check_term(term, stop, names)
        _demand(term["kind"] in ("effort", "position", "velocity"), f"{term['name']} commands {term['kind']}")
        size = 1 if term.get("switch") else len(term["joint_names"])
        _demand(size == term["slice"][1] - term["slice"][0] and term["joint_names"], f"{term['name']} lacks joints")
        for key in ("cumulative", "from_joints", "switch"):
            _demand(type(term.get(key, False)) is bool, f"{key} of {term['name']} is {term.get(key)}")
        _number(term.get("share", 1.0), f"share of {term['name']}", 1e-9, 1.0)
    _demand(stop in (0, _action_size(meta["actions"]["space"])), "terms do not add up to the action")
    for what in ("actions", "observations"):
        if meta[what].get("clip") is not None:
            _number(meta[what]["clip"], f"the clip of {what}", 1e-9, math.inf)


def _check_term(term: Mapping[str, Any], start: int, joints: Sequence[str]) -> int:
    """Raise unless a term begins at `start` and its numbers are as they must be; return where it ends."""
    name, (begin, stop) = term["name"], term["slice"]
    _demand(type(begin) is type(stop) is int and begin == start < stop, f"{name} lies at {term['slice']}")
    for key in ("scale", "offset"):
        if term[key] is not None:
            count = len(term["joint_names"]) if term.get("switch") else stop - start
            _numbers(term[key], count, f"{key} of {name}")
    _demand((term["scale"] is None) == (term["offset"] is None), f"{name} has a scale or an offset alone")
    _ordered(term.get("clip"), f"clip of {name}")
    others = str(term.get("source", "")).startswith("object_joint")  # of things beside the robot
    unknown = [joint for joint in term["joint_names"] if joint not in joints and not others]
    _demand(not unknown and len(set(term["joint_names"])) == len(term["joint_names"]), f"{name} has joints {unknown}")
    return stop


def _check_image(term: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
    """Raise unless a picture is what one of the graph's inputs takes."""
    name, shape, stack = term["name"], term["shape"], term.get("stack", 1)
    _demand(type(stack) is int and 1 <= stack <= 1000, f"{name} stacks {stack} pictures")
    _demand(len(shape) == 3 and all(type(n) is int and n >= 1 for n in shape), f"{name} has shape {shape}")
    _demand(inputs.get(name) == [*shape[:2], shape[2] * stack], f"{name} does not fit the graph's inputs")
    _demand(term["dtype"] in ("uint8", "float32"), f"{name} is {term['dtype']}")
    _ordered(term.get("clip"), f"clip of {name}")
    _number(term.get("scale", 1.0), f"scale of {name}")


def _limits(joints: Mapping[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Return the lowest and the highest command of each joint by kind; a limit that is null is none."""
    count = len(joints["names"])
    limits = {}
    for kind in ("effort", "velocity"):
        key = f"{kind}_limit"
        values = joints.get(key) or [None] * count
        _demand(len(values) == count, f"{key} has {len(values)} numbers")
        highest = [math.inf if value is None else _number(value, key, 0.0, math.inf) for value in values]
        limits[kind] = [(-value, value) for value in highest]
    pairs = joints.get("position_limits") or [[None, None]] * count
    _demand(len(pairs) == count, f"position_limits has {len(pairs)} pairs")
    limits["position"] = [_ordered(pair, "position_limits", equal=True) for pair in pairs]
    return limits


def _demand(ok: bool, what: str) -> None:
    if not ok:
        raise ValueError(what)


def _number(value: Any, what: str, low: float = -LARGEST, high: float = LARGEST) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    _demand(is_number and low <= value <= high, f"{what} is {value}")
    return float(value)


def _numbers(values: Any, count: int, what: str) -> None:
    _demand(isinstance(values, list) and len(values) == count, f"{what} has not {count} numbers")
    for value in values:
        _number(value, what)


def _ordered(pair: Any, what: str, equal: bool = False) -> tuple[float, float]:
    """Return a pair of limits, with infinities for null."""
    low, high = pair or (None, None)
    low = -math.inf if low is None else _number(low, what)
    high = math.inf if high is None else _number(high, what)
    _demand(low < high or (equal and low == high), f"{what} is {pair}")
    return low, high


def _array(values: Any, what: str, dtype: Any = np.float32) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused
            return np.asarray(values, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise PolicyError(f"{what} is no array of numbers: {' '.join(str(error).split())}") from None


def _action_size(space: Mapping[str, Any]) -> int:
    sizes = {"box": lambda: math.prod(space["shape"]), "discrete": lambda: 1, "multi_discrete": lambda: len(space["n"])}
    return sizes[space["kind"]]()


def _outputs(terms: list[dict[str, Any]], place: Mapping[str, int], joints: Mapping[str, Any] | None) -> list[_Output]:
    outputs = []
    for term in terms:
        assert joints is not None  # as terms name joints of it
        limits = dict(zip(joints["names"], _limits(joints)[term["kind"]], strict=True))
        low, high = _ordered(term["clip"], "clip")
        names = sorted(term["joint_names"], key=lambda name: place.get(name, -1))
        order = [term["joint_names"].index(name) for name in names]
        bounds = [(max(low, limits[name][0]), min(high, limits[name][1])) for name in names]
        for name, bound in zip(names, bounds, strict=True):
            _demand(bound[0] <= bound[1], f"the {term['kind']} of {name} has no value inside clip and limits")
        outputs.append(
            _Output(
                kind=term["kind"],
                names=names,
                places=np.array([place.get(name, -1) for name in names]),
                index=term["slice"][0] + np.array(order) * (not term.get("switch", False)),
                scale=np.array(term["scale"], np.float64)[order],
                offset=np.array(term["offset"], np.float64)[order],
                low=np.array([bound[0] for bound in bounds]),
                high=np.array([bound[1] for bound in bounds]),
                cumulative=term.get("cumulative", False),
                from_joints=term.get("from_joints", False),
                share=term.get("share", 1.0),
                switch=term.get("switch", False),
            )
        )
    return outputs
