# SPDX-License-Identifier: Apache-2.0
"""Who steps physics while a thread learns: a loop that owns physics, such as Kit's."""

from __future__ import annotations

import inspect
import queue
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from omni.myriad.env.vec_env import VecEnv

FRAME_SECONDS = 1.0 / 30.0
"""How long physics may keep the application from drawing itself."""


class RenderMode(Enum):
    """When the scene is drawn while environments are stepped; the application's own windows always are."""

    EVERY_STEP = "every step"
    EVERY_NTH = "every n-th step"
    UI_ONLY = "UI only"


@dataclass
class _Request:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    is_step: bool
    # Whether gradients are recorded is known to each thread alone.
    grad_enabled: bool = field(default_factory=torch.is_grad_enabled)
    result: Future[Any] = field(default_factory=Future)

    def begin(self) -> Any:
        with torch.set_grad_enabled(self.grad_enabled):
            return self.function(*self.args)


class Drive:
    """A loop that owns physics, such as Kit's, performs what the job's thread asks for, and draws frames in between.

    Args:
        make_env: Makes an environment on the loop.
        draw_frame: Lets the application draw itself; with the scene if its argument is True.

    Attributes:
        mode: When the scene is drawn; may be changed at any time, as may the interval.
        interval: Control steps from one drawn frame to the next, for `RenderMode.EVERY_NTH`.
        is_performing: Whether a request is being performed.
    """

    def __init__(
        self, make_env: Callable[[dict[str, Any]], Awaitable[VecEnv]], draw_frame: Callable[[bool], Awaitable[Any]]
    ) -> None:
        self.mode, self.interval = RenderMode.EVERY_NTH, 10
        self.is_performing = False
        self._is_shut = False
        self._make_env = make_env
        self._draw_frame = draw_frame
        self._requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._steps = 0

    # -- on the job's thread ------------------------------------------------------------------------------------------

    def make_env(self, config: dict[str, Any]) -> VecEnv:
        """Make an environment on the loop."""
        return self.call(self._make_env, config)

    def close_env(self, env: VecEnv) -> None:
        """Release an environment on the loop, awaiting the application that the engine runs in, if there is one."""
        application = env.engine.application
        self.call(application.close_async if application else env.close)

    def call(self, function: Callable[..., Any], *args: Any, is_step: bool = False) -> Any:
        """Have the loop call a function, awaiting it if it is asynchronous, and return what it returns."""
        request = _Request(function, args, is_step)
        self._requests.put(request)
        if self._is_shut:
            self.shut()
        return request.result.result()

    # -- on the loop --------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Perform requests and draw frames, until cancelled."""
        while True:
            await self._draw_frame(await self._perform_until_frame())

    async def _perform_until_frame(self) -> bool:
        """Perform requests until a frame is due, and return whether it shows the scene."""
        deadline = time.monotonic() + FRAME_SECONDS
        patience = 0.0  # an application at rest is not held up
        while True:
            try:
                request = self._requests.get(patience > 0.0, patience)
            except queue.Empty:
                return False
            self.is_performing = True
            try:
                result = request.begin()
                request.result.set_result(await result if inspect.isawaitable(result) else result)
            except (Exception, KeyboardInterrupt) as error:
                request.result.set_exception(error)
            except BaseException:  # such as the cancellation of this very loop
                request.result.set_exception(KeyboardInterrupt())
                raise
            finally:
                self.is_performing = False
            if request.is_step:
                self._steps += 1
                interval = {RenderMode.EVERY_STEP: 1, RenderMode.EVERY_NTH: max(1, self.interval)}.get(self.mode)
                if interval and self._steps % interval == 0:
                    return True
            # A learner between two steps asks again within milliseconds, which is no time for a frame.
            patience = deadline - time.monotonic()
            if patience <= 0.0:
                return False

    def wait_for(self, thread: threading.Thread, seconds: float) -> None:
        """Perform what a thread still asks for until it has ended or the seconds have passed, drawing nothing.

        For moments that cannot be awaited, such as the extension's end: asynchronous requests are refused, and one that
        is being performed is not waited for.
        """
        deadline = time.monotonic() + seconds
        while thread.is_alive() and not self.is_performing and time.monotonic() < deadline:
            try:
                request = self._requests.get(timeout=0.01)
            except queue.Empty:
                continue
            try:
                if inspect.iscoroutinefunction(request.function):
                    raise MyriadError("The application is closing the scene.")
                request.result.set_result(request.begin())
            except BaseException as error:
                request.result.set_exception(error)

    def shut(self) -> None:
        """Refuse every request from now on, for when there is no loop any more."""
        self._is_shut = True
        with suppress(queue.Empty):
            while True:
                self._requests.get_nowait().result.set_exception(KeyboardInterrupt())


class DrivenEnv:
    """A `VecEnv` for a job's thread: whatever touches physics goes through the drive.

    Args:
        env: The environment.
        drive: Who may touch it.
        stop: Once set, the next step raises KeyboardInterrupt, upon which runs write their checkpoint and end.
    """

    def __init__(self, env: VecEnv, drive: Drive, stop: threading.Event) -> None:
        self._env = env
        self._drive = drive
        self._stop = stop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._env, name)
        if name in ("get_env_state", "set_env_state", "get_motion"):
            return partial(self._drive.call, self._while_playing, value)
        return value

    def step(self, actions: torch.Tensor) -> Any:
        """Step as `VecEnv.step` does."""
        return self._step(self._env.step, actions)

    def reset(self) -> Any:
        """Reset as `VecEnv.reset` does."""
        return self._step(self._env.reset)

    def _step(self, function: Callable[..., Any], *args: Any) -> Any:
        if self._stop.is_set():
            raise KeyboardInterrupt
        return self._drive.call(self._while_playing, function, *args, is_step=True)

    def _while_playing(self, function: Callable[..., Any], *args: Any) -> Any:
        if not self._env.engine.is_playing():
            raise MyriadError("Physics was stopped or paused from outside; press Load and start again.")
        return function(*args)

    def perform(self, function: Callable[[VecEnv], Any]) -> Any:
        """Return `function(env)`, called where physics lives."""
        return self._drive.call(function, self._env)

    def close(self) -> None:
        """Leave the environment loaded: the window goes on showing it."""
