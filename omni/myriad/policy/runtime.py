# SPDX-License-Identifier: Apache-2.0
"""Run an exported policy with numpy and onnxruntime alone; this one file can be copied to a robot.

    policy = Policy("policy.onnx", joint_names=robot.joint_names)
    while policy.due():
        command = policy.act(robot.positions, robot.velocities, {"root_height": 0.5}, stamp=robot.stamp)
        robot.apply(command.effort)

omni/myriad/policy/benchmark.py describes a file and measures how long it takes.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

METADATA_KEY = "myriad"
SCHEMA_VERSION = 1

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
    index: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    low: np.ndarray
    high: np.ndarray


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
        inputs: Shape and type of each observation that `infer` takes, by name.
        can_act: Whether the file says which joints are observed and commanded; without, there is only `infer`.
        missed: How many control periods `due` found skipped.

    Raises:
        PolicyError: If the file is missing, damaged, of a newer schema, does not pass its self-test, or needs joints
            that the robot lacks.
    """

    def __init__(
        self,
        path: str | Path,
        joint_names: Sequence[str] | None = None,
        max_age: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session: Any = _open(Path(path))
        self.metadata = _read_metadata(self._session, path)
        try:
            self._prepare(joint_names)
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise PolicyError(f"{path}: its metadata is damaged ({type(error).__name__}: {error})") from error
        self.max_age = 2.0 * self.control_dt if max_age is None else max_age
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
        terms = meta["observations"]["terms"]
        self._size = max(term["slice"][1] for term in terms)
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
            else:
                self.required[term["name"]] = term
        missing = [name for name in own if name in needed and name not in place]
        if missing:
            raise PolicyError(f"the robot lacks joints that the policy needs: {', '.join(missing)}")
        self._positions, self._velocities = (
            tuple(np.concatenate(parts) for parts in zip(*gathers[source], strict=True)) if gathers[source] else None
            for source in ("joint_position", "joint_velocity")
        )
        self._outputs = _outputs(meta["actions"]["terms"], place)
        vector = list(self.inputs) == ["obs"] and self.inputs["obs"][0] == (self._size,)
        self.can_act = vector and bool(self._outputs) and meta["actions"]["space"]["kind"] == "box"
        self._quantities = np.zeros(self._size, np.float32)

    # -- acting -------------------------------------------------------------------------------------------------------

    def reset(self, batch: int = 1) -> None:
        """Begin an episode: zero recurrent states, no last action, no last measurement.

        Args:
            batch: How many observations `infer` is given at once.
        """
        self._memory = {
            name: np.full((layers, batch, units), initial, np.float32)
            for name, (layers, units), initial in self._states
        }
        self._batch = batch
        self.last_action = np.zeros(self._action_size, np.float32)
        self._last_stamp = -math.inf
        self._next_due: float | None = None

    def due(self, now: float | None = None) -> bool:
        """Tell whether a control period has passed since the last True, on the control rate's own grid.

        Periods that were skipped are counted in `missed`, and not made up for.

        Args:
            now: Seconds on the clock; by default the clock's.
        """
        now = self._clock() if now is None else now
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
    ) -> Command:
        """Return commands for the joints; call it once a control period.

        Args:
            joint_positions: In m or rad: by name, or in the order of `joint_names`.
            joint_velocities: In m/s or rad/s, likewise.
            terms: The other quantities of `required`, by name, in their unit and frame, before scaling.
            stamp: When it was measured, in seconds on the clock; None: not checked.
            now: The present, in seconds on the clock; by default the clock's.

        Raises:
            PolicyError: If something is missing, of the wrong size, not finite, or too old; the states are left alone.
        """
        if not self.can_act:
            raise PolicyError("this policy's file does not say which joints it observes and commands: use infer()")
        if stamp is not None:
            self._check_stamp(stamp, self._clock() if now is None else now)
        quantities = self._quantities
        for gather, values, what in (
            (self._positions, joint_positions, "joint_positions"),
            (self._velocities, joint_velocities, "joint_velocities"),
        ):
            if gather is not None:
                slots, places = gather
                quantities[slots] = self._in_order(values, what)[places]
        for slots in self._last_action_slots:
            quantities[slots] = self.last_action
        self._take_terms(terms or {})
        if not np.isfinite(quantities).all():
            raise PolicyError(self._name_what_is_not_finite())
        action = self.infer(np.clip((quantities - self._offset) * self._scale, self._low, self._high))
        self.last_action = action
        command = Command()
        for output in self._outputs:
            values = np.clip(action[output.index] * output.scale + output.offset, output.low, output.high)
            getattr(command, output.kind).update(zip(output.names, values.tolist(), strict=True))
        return command

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
            value = np.asarray(given[name], dtype)
            single = value.ndim == len(shape)
            value = value[None] if single else value
            if value.shape[1:] != shape or (self._memory and len(value) != self._batch):
                wanted = f"{shape} or ({self._batch if self._memory else 'batch'}, *{shape})"
                raise PolicyError(f"observation {name!r} has shape {np.shape(given[name])}, not {wanted}")
            if dtype.kind == "f" and not np.isfinite(value).all():
                where = np.argwhere(~np.isfinite(value))[0].tolist()
                raise PolicyError(f"observation {name!r} is not finite at {where}")
            feed[name] = value
        action, *states = self._session.run(self._output_names, feed)
        if not np.isfinite(action).all():
            raise PolicyError("the policy's action is not finite")
        for (name, _, _), state in zip(self._states, states, strict=True):
            self._memory[name] = state
        return action[0].reshape(-1) if single else action

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
            row = np.array([values.get(name, math.nan) for name in self.joint_names], np.float32)
            missing = [name for name in self.joint_names if name not in values and self._is_needed(name)]
            if missing:
                raise PolicyError(f"{what} lacks {', '.join(missing)}")
            return row
        row = np.asarray(values, np.float32)
        if row.shape != (len(self.joint_names),):
            raise PolicyError(f"{what} has shape {row.shape}, not ({len(self.joint_names)},), one per joint")
        return row

    def _is_needed(self, name: str) -> bool:
        own = self.metadata["joints"]["names"]
        return name in own and any(name in term["joint_names"] for term in self.metadata["observations"]["terms"])

    def _take_terms(self, terms: Mapping[str, Any]) -> None:
        for name, term in self.required.items():
            if name not in terms:
                raise PolicyError(f"observation term {name!r} is missing; act() needs: {', '.join(self.required)}")
            start, stop = term["slice"]
            value = np.asarray(terms[name], np.float32).reshape(-1)
            if value.size != stop - start:
                raise PolicyError(f"observation term {name!r} has {value.size} numbers, not {stop - start}")
            self._quantities[start:stop] = value
        if len(terms) > len(self.required):
            unknown = sorted(set(terms) - set(self.required))
            raise PolicyError(f"observation term {unknown[0]!r} is unknown; act() needs: {', '.join(self.required)}")

    def _name_what_is_not_finite(self) -> str:
        at = int(np.flatnonzero(~np.isfinite(self._quantities))[0])
        terms = self.metadata["observations"]["terms"]
        term = next(term for term in terms if term["slice"][0] <= at < term["slice"][1])
        joints, element = term["joint_names"], at - term["slice"][0]
        where = joints[element] if element < len(joints) else f"element {element}"
        return f"the measurement of {term['name']} ({where}) is {self._quantities[at]}"

    # -- testing ------------------------------------------------------------------------------------------------------

    def self_test(self) -> float:
        """Replay the golden pairs in the file and return the greatest difference; the states are reset.

        Raises:
            PolicyError: If it exceeds the file's tolerance.
        """
        golden = self.metadata["golden"]
        try:
            inputs = {name: np.array(golden["observations"][name], self.inputs[name][1]) for name in self.inputs}
            wanted = np.array(golden["actions"], np.float64)
            if golden["sequential"]:
                self.reset()
                rows = [self.infer({name: values[i] for name, values in inputs.items()}) for i in range(len(wanted))]
                got = np.stack(rows)
            else:
                got = self.infer(inputs).reshape(len(wanted), -1)
        except (KeyError, TypeError, ValueError) as error:
            raise PolicyError(f"the golden pairs are damaged ({type(error).__name__}: {error})") from error
        self.reset()
        error = float(np.max(np.abs(got - wanted)))
        if not error <= golden["tolerance"]:
            raise PolicyError(f"self-test failed: actions differ by {error:.3g}, more than {golden['tolerance']:g}")
        return error


def _open(path: Path) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise PolicyError(f"{path} does not exist")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # waking a second thread costs more than it does
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of error for every way in which a file can be broken
        reason = " ".join(str(error).split())
        raise PolicyError(f"{path} is damaged, or needs a newer onnxruntime: {reason}") from error


def _read_metadata(session: onnxruntime.InferenceSession, path: str | Path) -> dict[str, Any]:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise PolicyError(f"{path} has no Myriad metadata; export it with ./myriad export")
    try:
        meta = json.loads(text)
        version = int(meta["schema_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"{path}: its metadata is damaged ({type(error).__name__}: {error})") from error
    if version > SCHEMA_VERSION:
        raise PolicyError(f"{path} has schema {version}, this runtime reads up to {SCHEMA_VERSION}: update the runtime")
    return meta


def _action_size(space: Mapping[str, Any]) -> int:
    sizes = {"box": lambda: math.prod(space["shape"]), "discrete": lambda: 1, "multi_discrete": lambda: len(space["n"])}
    return sizes[space["kind"]]()


def _outputs(terms: list[dict[str, Any]], place: Mapping[str, int]) -> list[_Output]:
    outputs = []
    for term in terms:
        order = sorted(range(len(term["joint_names"])), key=lambda i, t=term: place.get(t["joint_names"][i], -1))
        low, high = term["clip"] or (-math.inf, math.inf)
        outputs.append(
            _Output(
                kind=term["kind"],
                names=[term["joint_names"][i] for i in order],
                index=np.array([term["slice"][0] + i for i in order]),
                scale=np.array(term["scale"], np.float64)[order],
                offset=np.array(term["offset"], np.float64)[order],
                low=np.full(len(order), low),
                high=np.full(len(order), high),
            )
        )
    return outputs
