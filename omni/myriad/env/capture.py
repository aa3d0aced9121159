# SPDX-License-Identifier: Apache-2.0
"""Launch a part of a task's step as one CUDA graph.

A step of a small policy is hundreds of kernels of a few microseconds, and a GPU waits for the host to launch each. Work
that is the same every time is captured once and launched at once from then on: that is a `Graph`. The capture itself
changes no bit of what is computed. Around it two things are needed, which a task promises by being `capturable`:

* A graph keeps using the tensors that it was captured with, and nothing in Python happens any more. `TaskGraph` makes
  sure, in the step after the capture, that the task still keeps what lasts longer than a step in those tensors.
* Which environments ended only the GPU knows, and a graph cannot depend on how many they are. So `MaskedReset` calls
  `reset_idx` for all environments and keeps what came of it for those that ended. Where starts are drawn at random,
  these are other draws than those of a reset by a list of ids, from the same distribution; fixed starts are the same.

The views are not asked while a graph is replayed, so the engine must be told what the graph reads and writes: that is
`Engine.capture`, and an engine that has none is stepped without graphs. Who launches is exchangeable (`Launch`): a test
on the CPU takes the same way through this file with a launcher that calls the function again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.overrides import TorchFunctionMode

from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from omni.myriad.engine.base import Capture
    from omni.myriad.task.rl_task import RLTask

Tensors = Mapping[str, torch.Tensor]
Function = Callable[[Tensors], dict[str, torch.Tensor]]
"""Takes and returns tensors by name. It may change other tensors, in place; it must not wait for the device."""

_EAGER_CALLS = 2  # before the capture: libraries allocate their workspaces in the first


class Launched(Protocol):
    """A function that is called as it is at first, and from some call on replayed."""

    @property
    def captured(self) -> bool:
        """Whether calls replay what was captured."""
        ...

    def __call__(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        """Call the function, or replay it."""
        ...


Launch = Callable[[Function], Launched]


class Graph:
    """A function of tensors with fixed shapes, launched as one CUDA graph from its third call on.

    Args:
        function: What to launch; whatever it does in Python is done in the first calls only.
    """

    def __init__(self, function: Function) -> None:
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
        if self._inputs:
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


class TaskGraph:
    """A function of a task that promises to be `capturable`.

    Args:
        task: The task.
        function: What to capture.
        launch: What captures it.
    """

    def __init__(self, task: RLTask, function: Function, launch: Launch) -> None:
        self._task = task
        self._function = function
        self._launched = launch(self._watched)
        self._used: dict[str, torch.Tensor] = {}
        self._verified = False

    @property
    def captured(self) -> bool:
        """Whether calls replay what was captured."""
        return self._launched.captured

    def __call__(self, inputs: Tensors) -> None:
        """Call the function, or replay what it launched.

        Raises:
            MyriadError: If it cannot be captured, or the task has replaced a tensor that the graph reads.
        """
        if self.captured and not self._verified:
            self._verify()
            self._verified = True
        try:
            self._launched(inputs)
        except RuntimeError as error:
            if self.captured:
                raise
            raise MyriadError(
                f"Task {self._task.name} says it is capturable, but a CUDA graph of it cannot be captured: "
                f"{str(error).splitlines()[0]} Set capturable = False, or fix it."
            ) from error

    def _watched(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        with Uses(tensors_of(self._task)) as uses:
            outputs = self._function(inputs)
        self._used = uses.found
        return outputs

    def _verify(self) -> None:
        """Compare with the step of the capture: the graph would keep reading what has been replaced since."""
        now = tensors_of(self._task)
        replaced = [name for name, tensor in self._used.items() if now.get(name) is not tensor]
        if replaced:
            raise MyriadError(
                f"Task {self._task.name} is capturable, so what one step leaves for the next must stay in the same "
                f"tensor, and it replaces {', '.join(replaced)}: write {replaced[0]}[:] = ..., or set "
                "capturable = False."
            )


class MaskedReset:
    """Calls a task's `reset_idx` for all environments, and keeps what came of it for those that ended alone.

    Drawing new starts for all costs less than to wait for a list of those that ended, and is the same work every step.

    Args:
        task: The task, once it is set up.
        capture: What confines partial writes to a mask of environments.
    """

    def __init__(self, task: RLTask, capture: Capture) -> None:
        self._task = task
        self._capture = capture
        self._env_ids = torch.arange(task.num_envs, device=task.device)
        self._changed: list[str] | None = None

    def __call__(self) -> None:
        """Start new episodes where `reset_buf` says so.

        Raises:
            MyriadError: At the first call, if the task keeps something that cannot be told apart by environment.
        """
        task = self._task
        before = tensors_of(task)
        versions = {name: tensor._version for name, tensor in before.items()}
        kept = [name for name in before if self._has_rows(before[name])] if self._changed is None else self._changed
        copies = {name: before[name].clone() for name in kept}
        ended = task.reset_buf.bool()
        with self._capture.only(ended):
            task.reset_idx(self._env_ids)
        if self._changed is None:
            self._changed = [name for name, tensor in before.items() if tensor._version != versions[name]]
            self._check(before)
        for name in self._changed:
            now = before[name]
            torch.where(ended.view(-1, *[1] * (now.ndim - 1)), now, copies[name], out=now)

    def _has_rows(self, tensor: torch.Tensor) -> bool:
        return tensor.ndim > 0 and tensor.shape[0] == self._task.num_envs

    def _check(self, before: dict[str, torch.Tensor]) -> None:
        after = tensors_of(self._task)
        new = [name for name, tensor in after.items() if before.get(name) is not tensor]
        if new:
            raise MyriadError(
                f"Task {self._task.name} is capturable, so reset_idx must change tensors in place, and it replaces "
                f"{', '.join(new)}: write {new[0]}[env_ids] = ..., or set capturable = False."
            )
        shared = [name for name in self._changed or () if not self._has_rows(before[name])]
        if shared:
            raise MyriadError(
                f"Task {self._task.name} is capturable, so reset_idx may change only tensors with a row for each "
                f"environment, and it changes {', '.join(shared)}: set capturable = False."
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
            for _, tensor in named_tensors((args, kwargs), ""):
                name = self._names.get(id(tensor))
                if name is not None:
                    self.found[name] = tensor
        return result


def tensors_of(task: RLTask) -> dict[str, torch.Tensor]:
    """Return a task's tensors by name: attributes, and what is in dictionaries, lists and tuples among them."""
    return {name: tensor for key, value in vars(task).items() for name, tensor in named_tensors(value, f"self.{key}")}


def named_tensors(value: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors in nested dictionaries, lists and tuples, each with the expression that leads to it."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from named_tensors(item, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from named_tensors(item, f"{name}[{index}]")
