# SPDX-License-Identifier: Apache-2.0
"""Replay what a function launches on a GPU as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

Tensors = Mapping[str, torch.Tensor]

_EAGER_CALLS = 2  # before the capture: libraries allocate their workspaces in the first


class Graph:
    """A function of tensors with fixed shapes, launched as one CUDA graph from its third call on.

    A small network's update is a few hundred kernels of microseconds each, so a GPU waits for the host to launch them;
    a graph is launched at once.

    Args:
        function: Takes and returns tensors by name. It may change other tensors, in place; it must not wait for the
            device, and whatever it does in Python is done in the first calls only.
    """

    def __init__(self, function: Callable[[Tensors], dict[str, torch.Tensor]]) -> None:
        self._function = function
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream()
        self._inputs: dict[str, torch.Tensor] = {}
        self._outputs: dict[str, torch.Tensor] = {}

    @property
    def captured(self) -> bool:
        """Whether calls replay the graph."""
        return self._graph is not None

    def __call__(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        """Call the function.

        Returns:
            Its results; once captured, the same tensors each time, which the next call overwrites.
        """
        if self._graph is None:
            self._calls += 1
            if self._calls <= _EAGER_CALLS:
                return self._run_eagerly(inputs)
            self._capture(inputs)
        assert self._graph is not None
        if not self._inputs:
            self._graph.replay()
            return self._outputs
        given = [inputs[name] for name in self._inputs]
        torch._foreach_copy_(list(self._inputs.values()), given)  # pyright: ignore[reportPrivateImportUsage]
        self._graph.replay()
        return self._outputs

    def _run_eagerly(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        # On the stream of the capture: autograd ties its nodes to the stream they were made on.
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            outputs = self._function(inputs)
        current.wait_stream(self._stream)
        return outputs

    def _capture(self, inputs: Tensors) -> None:
        self._inputs = {name: tensor.clone() for name, tensor in inputs.items()}
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as Isaac Sim's renderer, may use the GPU as they like meanwhile.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._outputs = self._function(self._inputs)
        self._graph = graph
