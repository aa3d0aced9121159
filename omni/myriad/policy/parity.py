# SPDX-License-Identifier: Apache-2.0
"""Proof that a file acts as its learner's own actor does, on observations from the real task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.learn.base import Actor
from omni.myriad.policy.graph import clipped
from omni.myriad.policy.recording import Recording
from omni.myriad.policy.runtime import PICTURE_TOLERANCE
from omni.myriad.policy.runtime import TOLERANCE as GOLDEN_TOLERANCE

TOLERANCE = 1e-5
"""Greatest difference between two actions that counts as rounding."""
NUM_GOLDEN = 16
_MOST_GOLDEN_NUMBERS = 100_000
"""Pictures are many numbers, so of them fewer pairs are kept, but never fewer than two."""
_SINGLE_STEPS = 256  # steps replayed once more with a batch of one, as on a robot


class TrainerSide:
    """The learner's own actor, with the task's clipping around it.

    Args:
        actor: The actor, on the CPU.
        description: What `describe_task` returned.
    """

    def __init__(self, actor: Actor, description: Mapping[str, Any]) -> None:
        self.library, self.reset = actor.library, actor.reset
        self._actor, self.description = actor, description

    def act(self, observations: dict[str, np.ndarray], resets: np.ndarray) -> np.ndarray:
        """Return the actions the task would receive, (batch, *shape)."""
        limit, kind = self.description["clip_observations"], self.description["spaces"]["observation"]["kind"]
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in observations.items()}
        seen: Any = {name: clipped(value, limit) for name, value in tensors.items()}
        action = self._actor.act({"obs": seen if kind == "dict" else seen["obs"]}, torch.from_numpy(resets.copy()))
        return clipped(action, self.description["clip_actions"]).reshape(len(resets), -1).numpy()


class OnnxSide:
    """onnxruntime, fed with raw observations.

    Args:
        model: The serialised ONNX model.
        states: Layers and units of each recurrent state by name.
    """

    def __init__(self, model: bytes, states: Mapping[str, tuple[int, int]]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.shapes = states
        self.states: dict[str, np.ndarray] = {}

    def reset(self, num_envs: int) -> None:
        """Begin with zero recurrent states."""
        self.states = {
            f"{name}_in": np.zeros((layers, num_envs, units), np.float32)
            for name, (layers, units) in self.shapes.items()
        }

    def act(self, observations: dict[str, np.ndarray], resets: np.ndarray) -> np.ndarray:
        """Return the actions, (batch, *shape)."""
        for state in self.states.values():
            state[:, resets] = 0.0
        action, *states = self.session.run(None, {**observations, **self.states})
        for name, state in zip(self.shapes, states, strict=True):
            self.states[f"{name}_in"] = np.array(state)
        return np.asarray(action).reshape(len(resets), -1)


def replay(trainer: TrainerSide, onnx: OnnxSide, recording: Recording) -> dict[str, Any]:
    """Act on a whole recording with both sides, on its first environment once more alone, and return what came of it.

    Args:
        trainer: The learner's side.
        onnx: The file's side.
        recording: Observations from the task.

    Raises:
        MyriadError: If the greatest difference exceeds `TOLERANCE`, or with pictures `PICTURE_TOLERANCE`.
    """
    sees = any(values.ndim == 5 for values in recording.observations.values())  # steps, envs, height, width, channels
    tolerance = PICTURE_TOLERANCE if sees else TOLERANCE
    worst, steps, episodes = 0.0, 0, 0
    for envs, length in ((slice(None), recording.steps), (slice(0, 1), min(_SINGLE_STEPS, recording.steps))):
        resets = recording.resets[:length, envs]
        trainer.reset(resets.shape[1])
        onnx.reset(resets.shape[1])
        for step in range(length):
            observations = {name: values[step, envs] for name, values in recording.observations.items()}
            want, got = trainer.act(observations, resets[step]), onnx.act(observations, resets[step])
            error = float(np.max(np.abs(want.astype(np.float64) - got.astype(np.float64))))
            if not error <= tolerance:  # written so that NaN is caught
                raise MyriadError(
                    f"The exported policy differs from {trainer.library} by {error:.3g} at step {step}, more "
                    f"than {tolerance:g}: nothing was written."
                )
            worst = max(worst, error)
        steps += resets.size
        episodes += int(resets.sum())
    counts = {"steps": steps, "episodes": episodes}
    return {"against": trainer.library, **counts, "max_error": worst, "tolerance": tolerance}


def golden_pairs(trainer: TrainerSide, recording: Recording, sequential: bool) -> dict[str, Any]:
    """Return up to sixteen observations and what the learner's actor does with them, for a runtime to test itself with.

    Where the task says what it observes and commands, they come with what a robot would have measured, and with the
    commands that its joints should get.

    Args:
        trainer: The learner's side.
        recording: Observations from the task.
        sequential: Whether they are consecutive steps of one environment from zero states, as a policy with recurrent
            states needs them; else they are spread over the recording.
    """
    numbers = sum(values[0, 0].size for values in recording.observations.values())
    most = max(2, min(NUM_GOLDEN, _MOST_GOLDEN_NUMBERS // numbers))
    if sequential:
        count, batch = min(most, recording.steps), 1
        chosen = {name: values[:count, 0] for name, values in recording.observations.items()}
    else:
        count = batch = most
        rows = np.linspace(0, recording.resets.size - 1, count).round().astype(int)
        chosen = {name: values.reshape(-1, *values.shape[2:])[rows] for name, values in recording.observations.items()}
    description, measurements = trainer.description, None
    if description["observation_terms"] and description["action_terms"] and list(chosen) == ["obs"]:
        measurements, chosen["obs"] = _measured(chosen["obs"], description["observation_terms"])
    trainer.reset(batch)
    parts = [{name: values[i : i + batch] for name, values in chosen.items()} for i in range(0, count, batch)]
    actions = np.concatenate([trainer.act(part, np.zeros(batch, dtype=bool)) for part in parts])
    golden = {
        "tolerance": GOLDEN_TOLERANCE,
        "sequential": sequential,
        "observations": {name: values.tolist() for name, values in chosen.items()},
        "actions": actions.tolist(),
    }
    if measurements is not None:
        commands: list[dict[str, dict[str, float]]] = []
        for action, row in zip(actions, measurements, strict=True):
            before = commands[-1] if sequential and commands else {}
            joints = _joint_positions(row, description["observation_terms"])
            commands.append(_commands(action, description["action_terms"], description["robot"], before, joints))
        golden |= {"measurements": measurements.tolist(), "commands": commands}
    return golden


def _measured(observations: np.ndarray, terms: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Return what a robot would have measured, (count, size), and the observations that this would have made.

    They differ from the given ones by rounding, and where two terms saw one joint with different noise.

    Raises:
        MyriadError: If an observation is so large that what was measured, before its scale, has no number.
    """
    measured, again = observations.astype(np.float32), observations.astype(np.float32)
    first: dict[tuple[str, str], int] = {}
    for term in terms:
        start, stop = term["slice"]
        scale, offset = (np.array(term[key], np.float32) for key in ("scale", "offset"))
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused
            values = np.divide(
                observations[:, start:stop], scale, where=scale != 0, out=np.zeros_like(again[:, start:stop])
            )
            measured[:, start:stop] = values + offset
        if not np.isfinite(measured[:, start:stop]).all():
            largest = np.abs(observations[:, start:stop]).max()
            raise MyriadError(
                f"The recording holds {largest:.3g} in observation term {term['name']}, which is too large for what a "
                "robot measures: nothing was written. The simulation came apart there; clip the term."
            )
        if len(term["joint_names"]) == stop - start:
            for column, joint in enumerate(term["joint_names"], start):
                measured[:, column] = measured[:, first.setdefault((term["source"], joint), column)]
        seen = (measured[:, start:stop] - offset) * scale
        again[:, start:stop] = seen.clip(*term["clip"]) if term.get("clip") else seen
    return measured, again


def _joint_positions(measured: np.ndarray, terms: list[dict[str, Any]]) -> dict[str, float]:
    """Return where a measurement says that joints are."""
    positions = {}
    for term in terms:
        if term["source"] == "joint_position" and len(term["joint_names"]) == term["slice"][1] - term["slice"][0]:
            positions |= dict(zip(term["joint_names"], measured[slice(*term["slice"])].tolist(), strict=True))
    return positions


def _commands(
    action: np.ndarray,
    terms: list[dict[str, Any]],
    robot: Mapping[str, Any],
    before: Mapping[str, Mapping[str, float]],
    joints: Mapping[str, float],
) -> dict[str, dict[str, float]]:
    """Return what an action commands after the commands before it, by kind and joint, inside what the joints can do.

    Worked out here as well as in the runtime: its self-test then compares it with code that is not its own.
    """
    commands: dict[str, dict[str, float]] = {"effort": {}, "position": {}, "velocity": {}}
    for term in terms:
        joint_names, goes_on = term["joint_names"], term["cumulative"] or term["share"] < 1.0
        base = np.array(term["offset"])
        if goes_on and before:
            base = np.array([before[term["kind"]][joint] for joint in joint_names])
        elif term["from_joints"]:
            base = np.array([joints.get(joint, 0.0) for joint in joint_names])  # as in the self-test
        part = action[slice(*term["slice"])].astype(np.float64)
        if term["switch"]:
            part = 1.0 if part[0] > 0.0 else -1.0
        if term["cumulative"]:
            wanted = part * np.array(term["scale"]) + base
        else:
            new = part * np.array(term["scale"]) + np.array(term["offset"])
            wanted = term["share"] * new + (1.0 - term["share"]) * base
        for joint, value in zip(term["joint_names"], wanted.tolist(), strict=True):
            at = robot["joint_names"].index(joint)
            largest = None if term["kind"] == "position" else robot[f"{term['kind']}_limit"][at]
            own = robot["position_limits"][at] if term["kind"] == "position" else (largest and -largest, largest)
            for low, high in (own, term["clip"] or (None, None)):
                value = value if low is None else max(low, value)
                value = value if high is None else min(high, value)
            commands[term["kind"]][joint] = value
    return commands
