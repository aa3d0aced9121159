# SPDX-License-Identifier: Apache-2.0
"""A policy as a robot runs it, from raw observation to the action that the task would receive, and its ONNX form."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from omni.myriad.errors import MyriadError
from omni.myriad.learn.base import ExportModule

OPSETS = range(9, 24)
"""What torch's TorchScript exporter writes; 17 is old enough for robots' runtimes, and new enough for all we need."""


def clipped(value: torch.Tensor, limit: float | None) -> torch.Tensor:
    """Return a value within the limit that a task puts on it; pictures and choices stay as they are."""
    return value.clamp(-limit, limit) if limit is not None and value.is_floating_point() else value


class PolicyGraph(nn.Module):
    """A learner's module with the task's clipping around it, its inputs and outputs flat, as ONNX wants them.

    Args:
        module: What `Actor.export_module` returned.
        description: What `describe_task` returned.

    Attributes:
        parts: Observation spaces by input name, as `describe_space` gives them.
        states: Layers and units of each recurrent state by name, empty without.
        input_names: Names of the graph's inputs.
        output_names: Names of the graph's outputs.
    """

    def __init__(self, module: ExportModule, description: Mapping[str, Any]) -> None:
        super().__init__()
        self.module = module
        self.states = module.states
        self.clip_observations, self.clip_actions = description["clip_observations"], description["clip_actions"]
        space, action = description["spaces"]["observation"], description["spaces"]["action"]
        self.parts: dict[str, Any] = space["spaces"] if space["kind"] == "dict" else {"obs": space}
        self.input_names = [*self.parts, *(f"{name}_in" for name in self.states)]
        self.output_names = ["actions", *(f"{name}_out" for name in self.states)]
        if self.clip_actions is not None and module.is_bounded and _reach(action) <= self.clip_actions:
            self.clip_actions = None  # it could not bite

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Return the action, then the next recurrent states.

        Args:
            inputs: Observations, (batch, *shape), in the order of `parts`, then the states, (layers, batch, units).
        """
        seen = (clipped(value, self.clip_observations) for value in inputs[: len(self.parts)])
        action, states = self.module(dict(zip(self.parts, seen, strict=True)), tuple(inputs[len(self.parts) :]))
        action = clipped(action, self.clip_actions)
        return (action, *states) if states else action

    def example(self, batch: int = 2) -> tuple[torch.Tensor, ...]:
        """Return inputs of the right shapes and types."""
        observations = [
            torch.zeros(batch, *part["shape"], dtype=torch.uint8 if part["dtype"] == "uint8" else torch.float32)
            for part in self.parts.values()
        ]
        return (*observations, *(torch.zeros(layers, batch, units) for layers, units in self.states.values()))


def _reach(action: Mapping[str, Any]) -> float:
    """Return the greatest magnitude in a described action space, infinite where it has no bounds."""
    bounds = [bound for key in ("low", "high") for bound in action[key]]
    return float("inf") if None in bounds else max(map(abs, bounds))


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
        raise MyriadError(f"opset={opset} is invalid: it must be a whole number from {OPSETS[0]} to {OPSETS[-1]}.")
    state_names = {f"{name}_{end}" for name in graph.states for end in ("in", "out")}
    axes = {name: {int(name in state_names): "batch"} for name in [*graph.input_names, *graph.output_names]}
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
