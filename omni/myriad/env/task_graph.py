# SPDX-License-Identifier: Apache-2.0
"""Launch a part of a task's step as one CUDA graph, and make sure that the task keeps the tensors the graph knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from omni.myriad.env.graph import Graph, Tensors
from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from omni.myriad.task.rl_task import RLTask


class TaskGraph:
    """A function of a task that promises to be `capturable`, replayed from its third call on.

    Args:
        task: The task.
        function: What to capture, as for `Graph`.
    """

    def __init__(self, task: RLTask, function: Callable[[Tensors], dict[str, torch.Tensor]]) -> None:
        self._task = task
        self._function = function
        self._graph = Graph(self._watched)
        self._used: dict[str, torch.Tensor] = {}
        self._verified = False

    @property
    def captured(self) -> bool:
        """Whether calls replay the graph."""
        return self._graph.captured

    def __call__(self, inputs: Tensors) -> None:
        """Call the function, or replay what it launched.

        Raises:
            MyriadError: If it cannot be captured, or the task has replaced a tensor that the graph reads.
        """
        if self.captured and not self._verified:
            self._verify()
            self._verified = True
        try:
            self._graph(inputs)
        except RuntimeError as error:
            if self.captured:
                raise
            raise MyriadError(
                f"Task {self._task.name} says it is capturable, but a CUDA graph of it cannot be captured: "
                f"{str(error).splitlines()[0]} Set capturable = False, or mend it."
            ) from error

    def _watched(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        with Uses(tensors_of(self._task)) as uses:
            outputs = self._function(inputs)
        self._used = uses.found
        return outputs

    def _verify(self) -> None:
        """Compare with the step of the capture: the graph would go on reading what has been replaced since."""
        now = tensors_of(self._task)
        replaced = [name for name, tensor in self._used.items() if now.get(name) is not tensor]
        if replaced:
            raise MyriadError(
                f"Task {self._task.name} is capturable, so what one step leaves for the next must stay in the same "
                f"tensor, and it assigns {', '.join(replaced)} anew: write {replaced[0]}[:] = ..., or set "
                "capturable = False."
            )


class Uses(TorchFunctionMode):
    """Note which of some tensors torch is called with while the context lasts.

    Args:
        tensors: The tensors to look for, by name.

    Attributes:
        found: Those that were used.
    """

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self._names = {id(tensor): name for name, tensor in tensors.items()}
        self._tensors = tensors  # kept, so that no other one gets their ids
        self.found: dict[str, torch.Tensor] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call, and look at the arguments unless it was for a shape or the like."""
        if func is torch.Tensor.__setitem__ and isinstance(args[2], (bool, int, float)):
            # Through indices, torch would copy the number from the host, which no graph can capture.
            args = (*args[:2], torch.full((), args[2], dtype=args[0].dtype, device=args[0].device))
        result = func(*args, **(kwargs or {}))
        if result is None or (isinstance(result, (torch.Tensor, tuple, list)) and not isinstance(result, torch.Size)):
            for _, tensor in _walk((args, kwargs), ""):
                name = self._names.get(id(tensor))
                if name is not None:
                    self.found[name] = tensor
        return result


def tensors_of(task: RLTask) -> dict[str, torch.Tensor]:
    """Return a task's tensors by name: attributes, and what is in dictionaries, lists and tuples among them."""
    return {name: tensor for key, value in vars(task).items() for name, tensor in _walk(value, f"self.{key}")}


def _walk(value: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _walk(item, f"{name}[{index}]")
