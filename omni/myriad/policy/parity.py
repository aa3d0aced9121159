# SPDX-License-Identifier: Apache-2.0
"""Proof that a file acts as rl-games' own player does, on observations from the real task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from omni.myriad.errors import MyriadError
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


class PlayerSide:
    """rl-games' player, with the environment's clipping around it.

    Args:
        player: The player, on the CPU.
        description: What `describe_task` returned.
    """

    def __init__(self, player: Any, description: Mapping[str, Any]) -> None:
        self.player = player
        self.is_dict = description["spaces"]["observation"]["kind"] == "dict"
        self.clip_observations = description["clip_observations"]
        self.clip_actions = description["clip_actions"]

    def start(self, batch: int) -> None:
        """Begin with zero recurrent states for `batch` environments."""
        self.player.has_batch_dimension = True
        self.player.batch_size = batch
        self.player.reset()

    @torch.no_grad()
    def act(self, observations: dict[str, np.ndarray], resets: np.ndarray) -> np.ndarray:
        """Return the actions the task would receive, (batch, *shape)."""
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in observations.items()}
        limit = self.clip_observations
        if limit is not None:
            tensors = {k: v.clamp(-limit, limit) if v.is_floating_point() else v for k, v in tensors.items()}
        if self.player.is_rnn:
            for memory in self.player.states:
                memory[:, torch.from_numpy(resets)] = 0.0
        action = self.player.get_action(tensors if self.is_dict else tensors["obs"], is_deterministic=True)
        if action.is_floating_point() and self.clip_actions is not None:
            action = action.clamp(-self.clip_actions, self.clip_actions)
        batch = len(resets)
        return action.reshape(batch, -1).numpy()


class OnnxSide:
    """onnxruntime, fed with raw observations.

    Args:
        model: The serialised ONNX model.
        state_names: Names of the recurrent states.
        state_shapes: Their shapes, (layers, units).
    """

    def __init__(self, model: bytes, state_names: tuple[str, ...], state_shapes: list[tuple[int, int]]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.state_names, self.state_shapes = state_names, state_shapes
        self.states: dict[str, np.ndarray] = {}

    def start(self, batch: int) -> None:
        """Begin with zero recurrent states for `batch` environments."""
        self.states = {
            f"{name}_in": np.zeros((layers, batch, units), np.float32)
            for name, (layers, units) in zip(self.state_names, self.state_shapes, strict=True)
        }

    def act(self, observations: dict[str, np.ndarray], resets: np.ndarray) -> np.ndarray:
        """Return the actions, (batch, *shape)."""
        for state in self.states.values():
            state[:, resets] = 0.0
        action, *states = self.session.run(None, {**observations, **self.states})
        for name, state in zip(self.state_names, states, strict=True):
            self.states[f"{name}_in"] = np.array(state)
        return np.asarray(action).reshape(len(resets), -1)


def replay(player: PlayerSide, onnx: OnnxSide, recording: Recording) -> Replay:
    """Act on a whole recording with both sides, and on its first environment with a batch of one.

    Args:
        player: rl-games' side.
        onnx: The file's side.
        recording: Observations from the task.

    Raises:
        MyriadError: If the greatest difference exceeds `TOLERANCE`.
    """
    worst, steps, episodes = 0.0, 0, 0
    for envs, length in ((slice(None), recording.steps), (slice(0, 1), min(_SINGLE_STEPS, recording.steps))):
        resets = recording.resets[:length, envs]
        player.start(resets.shape[1])
        onnx.start(resets.shape[1])
        for step in range(length):
            observations = {name: values[step, envs] for name, values in recording.observations.items()}
            want, got = player.act(observations, resets[step]), onnx.act(observations, resets[step])
            error = float(np.max(np.abs(want.astype(np.float64) - got.astype(np.float64))))
            if not error <= TOLERANCE:  # written so that NaN is caught
                raise MyriadError(
                    f"The exported policy differs from rl-games' player by {error:.3g} at step {step}, more than "
                    f"{TOLERANCE:g}: nothing was written."
                )
            worst = max(worst, error)
        steps += resets.size
        episodes += int(resets.sum())
    return Replay(steps, episodes, worst)


def golden_pairs(player: PlayerSide, recording: Recording) -> dict[str, Any]:
    """Return sixteen observations and what rl-games' player does with them, for a runtime to test itself with.

    Without recurrent states they are spread over the recording; with them they are consecutive steps of one
    environment, from zero states.
    """
    recurrent = bool(player.player.is_rnn)
    if recurrent:
        count = min(NUM_GOLDEN, recording.steps)
        chosen = {name: values[:count, 0] for name, values in recording.observations.items()}
        player.start(1)
        no_reset = np.zeros(1, dtype=bool)
        steps = [{name: values[i : i + 1] for name, values in chosen.items()} for i in range(count)]
        actions = np.concatenate([player.act(step, no_reset) for step in steps])
    else:
        rows = np.linspace(0, recording.steps * recording.num_envs - 1, NUM_GOLDEN).round().astype(int)
        chosen = {name: values.reshape(-1, *values.shape[2:])[rows] for name, values in recording.observations.items()}
        player.start(NUM_GOLDEN)
        actions = player.act(chosen, np.zeros(NUM_GOLDEN, dtype=bool))
    return {
        "sequential": recurrent,
        "observations": {name: values.tolist() for name, values in chosen.items()},
        "actions": actions.tolist(),
    }
