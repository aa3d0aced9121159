# SPDX-License-Identifier: Apache-2.0
"""The network as a robot runs it, from raw observation to the action that the task would receive, and its ONNX form."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from omni.myriad.errors import MyriadError

OPSETS = range(9, 24)
"""What torch's TorchScript exporter writes; 17 is old enough for robots' runtimes, and new enough for all we need."""

_STATE_NAMES = {1: ("h",), 2: ("h", "c")}  # GRU, LSTM


class Normalize(nn.Module):
    """Observation statistics frozen, in the single precision in which rl-games applies them."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, statistics: Any, clip: float = 5.0) -> None:
        """Take mean and variance from one of rl-games' normalisers."""
        super().__init__()
        epsilon = float(getattr(statistics, "epsilon", 1e-5))
        self.register_buffer("mean", statistics.running_mean.detach().float().cpu().clone())
        self.register_buffer("std", torch.sqrt(statistics.running_var.detach().float().cpu() + epsilon))
        self.clip = clip

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return observations in standard deviations, clipped."""
        return ((observations - self.mean) / self.std).clamp(-self.clip, self.clip)


class PolicyGraph(nn.Module):
    """An rl-games actor with everything around it that stays the same on a robot.

    Clips and normalises observations, runs the network, takes the deterministic action, clips and rescales it. Critic
    and exploration noise are left behind: nothing that is exported depends on them.

    Args:
        player: rl-games' player, with weights.
        description: What `describe_task` returned.

    Attributes:
        observation_names: Names of the observation inputs.
        state_names: Names of the recurrent states, such as ("h", "c"), empty without.
        state_shapes: Shapes of the recurrent states without the batch, (layers, units).
    """

    def __init__(self, player: Any, description: Mapping[str, Any]) -> None:
        super().__init__()
        model = copy.deepcopy(player.model).cpu().eval()
        self.network = model.a2c_network
        space = description["spaces"]["observation"]
        self.is_dict = space["kind"] == "dict"
        self.parts: dict[str, Any] = space["spaces"] if self.is_dict else {"obs": space}
        self.observation_names = tuple(self.parts)
        self.clip_observations: float | None = description["clip_observations"]
        self.normalizers = nn.ModuleDict()
        if model.normalize_input:
            statistics = model.running_mean_std
            for name in self.observation_names:
                self.normalizers[name] = Normalize(statistics.running_mean_std[name] if self.is_dict else statistics)
        self._read_states(model)
        self.action_kind: str = description["spaces"]["action"]["kind"]
        self.tanh = "Tanh" in type(model).__qualname__
        self.rescale: tuple[torch.Tensor, torch.Tensor] | None = None
        self.clip_to_one = self.action_kind == "box" and bool(player.clip_actions)
        limit = description["clip_actions"]
        self.clip_actions: float | None = limit if self.action_kind == "box" else None
        if self.clip_to_one:
            low, high = player.actions_low.cpu(), player.actions_high.cpu()
            half, middle = (high - low) / 2.0, (high + low) / 2.0
            if not (bool((half == 1.0).all()) and bool((middle == 0.0).all())):
                self.rescale = (half, middle)
            if limit is not None and float(torch.maximum(low.abs(), high.abs()).max()) <= limit:
                self.clip_actions = None  # it could not bite

    def _read_states(self, model: Any) -> None:
        states = model.get_default_rnn_state() if model.is_rnn() else ()
        count = len(states)
        if count and getattr(self.network, "separate", False):
            count //= 2  # the other half is the critic's
        if count and count not in _STATE_NAMES:
            raise MyriadError(f"A policy with {count} recurrent states cannot be exported: LSTM and GRU have 2 and 1.")
        self.num_critic_states = len(states) - count
        self.state_names = _STATE_NAMES[count] if count else ()
        self.state_shapes = [(int(state.shape[0]), int(state.shape[2])) for state in states[:count]]

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Return the action, then the next recurrent states.

        Args:
            inputs: Observations, (batch, *shape), in the order of `observation_names`, then the states,
                (layers, batch, units).
        """
        count = len(self.observation_names)
        observations = {
            name: self._observe(name, value) for name, value in zip(self.observation_names, inputs[:count], strict=True)
        }
        states = tuple(inputs[count:])
        critic_states = tuple(torch.zeros_like(state) for state in states[: self.num_critic_states])
        result = self.network(
            {
                "obs": observations if self.is_dict else observations["obs"],
                "is_train": False,
                "prev_actions": None,
                "rnn_states": states + critic_states if states else None,
            }
        )
        action = self._act(result[0])
        return (action, *result[-1][: len(states)]) if states else action

    def _observe(self, name: str, value: torch.Tensor) -> torch.Tensor:
        if self.parts[name]["dtype"] == "uint8":
            value = value.float() / 255.0  # as rl-games does with pictures
        elif self.clip_observations is not None:
            value = value.clamp(-self.clip_observations, self.clip_observations)
        return self.normalizers[name](value) if name in self.normalizers else value

    def _act(self, head: Any) -> torch.Tensor:
        if self.action_kind == "discrete":
            return head.argmax(-1)
        if self.action_kind == "multi_discrete":
            return torch.stack([logits.argmax(-1) for logits in head], dim=-1)
        action = head.tanh() if self.tanh else head
        if self.clip_to_one:
            action = action.clamp(-1.0, 1.0)
        if self.rescale is not None:
            action = action * self.rescale[0] + self.rescale[1]
        if self.clip_actions is not None:
            action = action.clamp(-self.clip_actions, self.clip_actions)
        return action

    @property
    def input_names(self) -> list[str]:
        """Names of the graph's inputs."""
        return [*self.observation_names, *(f"{name}_in" for name in self.state_names)]

    @property
    def output_names(self) -> list[str]:
        """Names of the graph's outputs."""
        return ["actions", *(f"{name}_out" for name in self.state_names)]

    def example(self, batch: int = 2) -> tuple[torch.Tensor, ...]:
        """Return inputs of the right shapes and types."""
        observations = [
            torch.zeros(batch, *part["shape"], dtype=torch.uint8 if part["dtype"] == "uint8" else torch.float32)
            for part in self.parts.values()
        ]
        return (*observations, *(torch.zeros(layers, batch, units) for layers, units in self.state_shapes))


def to_onnx(graph: PolicyGraph, opset: int) -> Any:
    """Return a graph as a checked `onnx.ModelProto`, its weights inside, its batch size free.

    Torch's TorchScript exporter does it: unlike its successor it honours old opsets and needs nothing beyond torch.

    Args:
        graph: The policy.
        opset: ONNX operator set, one of `OPSETS`.

    Raises:
        MyriadError: If the opset is out of range, or too old for the network.
    """
    import onnx

    if opset not in OPSETS:
        raise MyriadError(f"opset={opset} cannot be: it must be a whole number from {OPSETS[0]} to {OPSETS[-1]}.")
    axes: dict[str, dict[int, str]] = {}
    for name in [*graph.input_names, *graph.output_names]:
        is_state = name.endswith(("_in", "_out")) and name.rsplit("_", 1)[0] in graph.state_names
        axes[name] = {1 if is_state else 0: "batch"}
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                graph.example(),
                buffer,  # type: ignore[arg-type] - the TorchScript exporter writes to streams
                dynamo=False,
                opset_version=opset,
                input_names=graph.input_names,
                output_names=graph.output_names,
                dynamic_axes=axes,
            )
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().splitlines()[0]
        raise MyriadError(f"This network cannot be written in ONNX opset {opset}: {reason}") from error
    model = onnx.load_from_string(buffer.getvalue())
    onnx.checker.check_model(model, full_check=True)
    return model
