# SPDX-License-Identifier: Apache-2.0
"""Proof that a file acts as its learner's own actor does, on observations from the real task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.learn.base import Actor
from omni.myriad.policy.graph import TaskClips
from omni.myriad.policy.recording import Recording

TOLERANCE = 1e-5
"""Greatest difference between two actions that counts as rounding."""
NUM_GOLDEN = 16
_SINGLE_STEPS = 256  # steps replayed once more with a batch of one, as on a robot


@dataclass(frozen=True)
class Replay:
    """The outcome of a replay: what was compared, and the greatest difference between two actions."""

    steps: int
    episodes: int
    max_error: float


class TrainerSide:
    """The learner's own actor, with the task's clipping around it.

    Args:
        actor: The actor, on the CPU.
        description: What `describe_task` returned.
    """

    def __init__(self, actor: Actor, description: Mapping[str, Any]) -> None:
        self.actor = actor
        self.is_dict = description["spaces"]["observation"]["kind"] == "dict"
        self.clips = TaskClips(description)

    def start(self, batch: int) -> None:
        """Begin with zero recurrent states for `batch` environments."""
        self.actor.reset(batch)

    def act(self, observations: dict[str, np.ndarray], resets: np.ndarray) -> np.ndarray:
        """Return the actions the task would receive, (batch, *shape)."""
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in observations.items()}
        seen: Any = self.clips.observe(tensors)
        action = self.actor.act({"obs": seen if self.is_dict else seen["obs"]}, torch.from_numpy(resets.copy()))
        return self.clips.act(action).reshape(len(resets), -1).numpy()


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

    def start(self, batch: int) -> None:
        """Begin with zero recurrent states for `batch` environments."""
        self.states = {
            f"{name}_in": np.zeros((layers, batch, units), np.float32) for name, (layers, units) in self.shapes.items()
        }

    def act(self, observations: dict[str, np.ndarray], resets: np.ndarray) -> np.ndarray:
        """Return the actions, (batch, *shape)."""
        for state in self.states.values():
            state[:, resets] = 0.0
        action, *states = self.session.run(None, {**observations, **self.states})
        for name, state in zip(self.shapes, states, strict=True):
            self.states[f"{name}_in"] = np.array(state)
        return np.asarray(action).reshape(len(resets), -1)


def replay(trainer: TrainerSide, onnx: OnnxSide, recording: Recording) -> Replay:
    """Act on a whole recording with both sides, and on its first environment with a batch of one.

    Args:
        trainer: The learner's side.
        onnx: The file's side.
        recording: Observations from the task.

    Raises:
        MyriadError: If the greatest difference exceeds `TOLERANCE`.
    """
    worst, steps, episodes = 0.0, 0, 0
    for envs, length in ((slice(None), recording.steps), (slice(0, 1), min(_SINGLE_STEPS, recording.steps))):
        resets = recording.resets[:length, envs]
        trainer.start(resets.shape[1])
        onnx.start(resets.shape[1])
        for step in range(length):
            observations = {name: values[step, envs] for name, values in recording.observations.items()}
            want, got = trainer.act(observations, resets[step]), onnx.act(observations, resets[step])
            error = float(np.max(np.abs(want.astype(np.float64) - got.astype(np.float64))))
            if not error <= TOLERANCE:  # written so that NaN is caught
                raise MyriadError(
                    f"The exported policy differs from {trainer.actor.library} by {error:.3g} at step {step}, more "
                    f"than {TOLERANCE:g}: nothing was written."
                )
            worst = max(worst, error)
        steps += resets.size
        episodes += int(resets.sum())
    return Replay(steps, episodes, worst)


def golden_pairs(trainer: TrainerSide, recording: Recording, sequential: bool) -> dict[str, Any]:
    """Return sixteen observations and what the learner's actor does with them, for a runtime to test itself with.

    Args:
        trainer: The learner's side.
        recording: Observations from the task.
        sequential: Whether they are consecutive steps of one environment from zero states, as a policy with recurrent
            states needs them; else they are spread over the recording.
    """
    if sequential:
        count = min(NUM_GOLDEN, recording.steps)
        chosen = {name: values[:count, 0] for name, values in recording.observations.items()}
        trainer.start(1)
        no_reset = np.zeros(1, dtype=bool)
        steps = [{name: values[i : i + 1] for name, values in chosen.items()} for i in range(count)]
        actions = np.concatenate([trainer.act(step, no_reset) for step in steps])
    else:
        rows = np.linspace(0, recording.steps * recording.num_envs - 1, NUM_GOLDEN).round().astype(int)
        chosen = {name: values.reshape(-1, *values.shape[2:])[rows] for name, values in recording.observations.items()}
        trainer.start(NUM_GOLDEN)
        actions = trainer.act(chosen, np.zeros(NUM_GOLDEN, dtype=bool))
    return {
        "sequential": sequential,
        "observations": {name: values.tolist() for name, values in chosen.items()},
        "actions": actions.tolist(),
    }
