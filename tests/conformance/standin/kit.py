# SPDX-License-Identifier: Apache-2.0
"""Kit's application: carb's settings, events and log, the timeline, the USD context, the frame loop."""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from pxr import Usd, UsdGeom, UsdUtils

from .importer import provide

EXTENSIONS: list[Any] = []
logger = logging.getLogger("kit")


class Settings:
    """carb.settings: a dictionary with typed setters."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {
            "/app/player/playSimulations": True,
            "/physics/cudaDevice": -1,
            "/physics/suppressReadback": False,
        }

    def _set(self, path: str, value: Any, kind: type | tuple[type, ...]) -> None:
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise TypeError(f"{path} = {value!r} is no {kind}")
        self._values["/" + path.strip("/")] = value

    def get(self, path: str) -> Any:
        return self._values.get("/" + path.strip("/"))

    def set(self, path: str, value: Any) -> None:
        self._values["/" + path.strip("/")] = value

    def set_bool(self, path: str, value: bool) -> None:
        self._set(path, value, bool)

    def set_int(self, path: str, value: int) -> None:
        self._set(path, value, int)

    def set_float(self, path: str, value: float) -> None:
        self._set(path, value, (int, float))

    def set_string(self, path: str, value: str) -> None:
        self._set(path, value, str)

    def get_as_bool(self, path: str) -> bool:
        return bool(self.get(path) or False)

    def get_as_int(self, path: str) -> int:
        return int(self.get(path) or 0)

    def get_as_float(self, path: str) -> float:
        return float(self.get(path) or 0.0)

    def get_as_string(self, path: str) -> str:
        return str(self.get(path) or "")


class Subscription:
    """Calls back as long as it is held, as carb's do."""

    def __init__(self, registry: list[Subscription], order: int, callback: Callable[..., Any]) -> None:
        self._registry, self.order, self.callback = registry, order, callback
        registry.append(_Weak(self))  # pyright: ignore[reportArgumentType]

    def __del__(self) -> None:
        self._registry[:] = [item for item in self._registry if item.get() is not None]  # pyright: ignore


class _Weak:
    def __init__(self, subscription: Subscription) -> None:
        import weakref

        self.get = weakref.ref(subscription)


def call(registry: list[Any], *arguments: Any) -> None:
    """Call the subscribers of a registry, lower orders first, equal ones in the order they came."""
    alive = [subscription for item in registry if (subscription := item.get()) is not None]
    for subscription in sorted(alive, key=lambda subscription: subscription.order):
        subscription.callback(*arguments)


class EventDispatcher:
    """carb.eventdispatcher."""

    def __init__(self) -> None:
        self._registries: dict[str, list[Any]] = {}

    def observe_event(
        self, *, event_name: str, on_event: Callable[[Any], Any], observer_name: str = "", order: int = 0
    ) -> Subscription:
        return Subscription(self._registries.setdefault(event_name, []), order, on_event)

    def dispatch_event(self, event_name: str, payload: dict[str, Any]) -> None:
        call(self._registries.get(event_name, []), payload)


class TimelineEventType(enum.IntEnum):
    """omni.timeline's events, as far as they are sent here."""

    PLAY = 0
    PAUSE = 1
    STOP = 2


GLOBAL_EVENT_STOP = "omni.timeline.stop"


class Timeline:
    """omni.timeline: what was asked for takes effect at `commit` or at the next frame."""

    def __init__(self) -> None:
        self._state = TimelineEventType.STOP
        self._wanted = TimelineEventType.STOP
        self._registries: dict[int, list[Any]] = {}
        self.on_stop: Callable[[], None] = lambda: None

    def play(self) -> None:
        self._wanted = TimelineEventType.PLAY

    def pause(self) -> None:
        self._wanted = TimelineEventType.PAUSE

    def stop(self) -> None:
        self._wanted = TimelineEventType.STOP

    def is_playing(self) -> bool:
        return self._state is TimelineEventType.PLAY

    def is_stopped(self) -> bool:
        return self._state is TimelineEventType.STOP

    def commit(self) -> None:
        if self._wanted is self._state:
            return
        self._state = self._wanted
        call(self._registries.get(int(self._state), []), {"type": self._state})
        if self._state is TimelineEventType.STOP:
            DISPATCHER.dispatch_event(GLOBAL_EVENT_STOP, {})
            self.on_stop()

    def set_auto_update(self, auto_update: bool) -> None:
        pass

    def set_target_framerate(self, hz: float) -> None:
        pass

    def set_time_codes_per_second(self, rate: float) -> None:
        pass

    def get_timeline_event_stream(self) -> Timeline:
        return self

    def create_subscription_to_pop_by_type(
        self, event_type: int, fn: Callable[[Any], Any], order: int = 0, name: str | None = None
    ) -> Subscription:
        return Subscription(self._registries.setdefault(event_type, []), order, fn)


class App:
    """omni.kit.app: frames. Physics on Kit's own clock is refused, because the engine steps it."""

    def __init__(self) -> None:
        self.frames = 0
        self.arguments: list[str] = []
        self.enabled: list[str] = []
        self.refused: set[str] = set()  # extensions that this Kit does not have
        self.on_startup: Callable[[], None] = lambda: None
        self._is_running = False
        self.quit_code: int | None = None
        self.toggles: dict[
            str, Callable[[bool], None]
        ] = {}  # what starts and ends extensions that are more than a name

    # -- starting and ending, as SimulationApp has it done ---------------------------------------------------------

    def startup(self, name: str, path: str, arguments: list[str]) -> None:
        self.arguments = list(arguments)
        self._is_running = True
        self.on_startup()

    def is_running(self) -> bool:
        return self._is_running

    def is_app_ready(self) -> bool:
        return True

    def print_and_log(self, message: str) -> None:
        logger.info(message)

    def shutdown(self) -> None:
        """End the process with 0, whatever has happened in it, as Kit does under /app/fastShutdown."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    shutdown_and_release_framework = shutdown  # what Isaac Sim 5 calls

    def post_quit(self, code: int = 0) -> None:
        self.quit_code = code

    # -- frames ----------------------------------------------------------------------------------------------------

    def update(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._frame()
        else:
            raise RuntimeError("app.update() inside Kit's own loop: only asynchronous calls are allowed there")

    def _frame(self) -> None:
        self.frames += 1
        TIMELINE.commit()
        if TIMELINE.is_playing() and SETTINGS.get_as_bool("/app/player/playSimulations"):
            raise RuntimeError("Kit would step physics in this frame, beside the engine's own steps")

    async def next_update_async(self) -> None:
        await asyncio.sleep(0.001)
        self._frame()

    # -- extensions ------------------------------------------------------------------------------------------------

    def get_extension_manager(self) -> App:
        return self

    def is_extension_enabled(self, name: str) -> bool:
        return name in self.enabled

    def set_extension_enabled_immediate(self, name: str, enabled: bool) -> bool:
        if name in self.refused:
            return False
        if enabled is self.is_extension_enabled(name):
            return True
        (self.enabled.append if enabled else self.enabled.remove)(name)
        self.toggles.get(name, lambda _: None)(enabled)
        return True


class Framework:
    """carb's framework, whose plugins are all there."""

    def load_plugins(self, loaded_file_wildcards: list[str], search_paths: list[str]) -> None:
        pass

    def unload_all_plugins(self) -> None:
        pass


class Logging:
    """carb.logging."""

    def set_log_enabled(self, enabled: bool) -> None:
        pass


class StageEventType(enum.Enum):
    """omni.usd's stage events."""

    OPENED = 0
    CLOSED = 1
    CLOSING = 4
    ASSETS_LOADING = 2
    ASSETS_LOADED = 3


class UsdContext:
    """omni.usd's context: the stage that is open."""

    stage: Any = None

    def get_stage(self) -> Usd.Stage | None:
        return self.stage

    def get_stage_id(self) -> int:
        return UsdUtils.StageCache.Get().GetId(self.stage).ToLongInt()

    def new_stage(self) -> bool:
        if self.stage is not None:
            DISPATCHER.dispatch_event(self.stage_event_name(StageEventType.CLOSING), {})
        TIMELINE.stop()
        TIMELINE.commit()
        UsdUtils.StageCache.Get().Clear()
        self.stage = Usd.Stage.CreateInMemory()
        with Usd.EditContext(self.stage, self.stage.GetSessionLayer()):
            UsdGeom.Camera.Define(self.stage, "/OmniverseKit_Persp")
        UsdGeom.SetStageUpAxis(self.stage, UsdGeom.Tokens.y)  # Kit's default, which whoever needs Z has to change
        self.stage.SetDefaultPrim(UsdGeom.Xform.Define(self.stage, "/World").GetPrim())
        UsdUtils.StageCache.Get().Insert(self.stage)
        DISPATCHER.dispatch_event(self.stage_event_name(StageEventType.OPENED), {})
        return True

    def can_close_stage(self) -> bool:
        return self.stage is not None

    def close_stage(self) -> bool:
        TIMELINE.stop()
        TIMELINE.commit()
        return True

    async def new_stage_async(self) -> tuple[bool, str]:
        return self.new_stage(), ""

    def stage_event_name(self, event: StageEventType) -> str:
        return f"omni.usd.{event.name}"


class Loop:
    """omni.kit.loop: how long a frame is."""

    def set_manual_step_size(self, step_size: float) -> None:
        pass

    def set_manual_mode(self, enabled: bool) -> None:
        pass


class IExt:
    """Base class of extensions."""


SETTINGS = Settings()
DISPATCHER = EventDispatcher()
TIMELINE = Timeline()
APP = App()
CONTEXT = UsdContext()
FRAMEWORK = Framework()


def install() -> None:
    """Install the modules."""
    provide(
        "carb",
        get_framework=lambda: FRAMEWORK,
        log_verbose=lambda message: logger.debug(message),
        log_info=lambda message: logger.debug(message),
        log_warn=lambda message: logger.warning(message),
        log_error=lambda message: logger.error(message),
    )
    provide(
        "carb.settings",
        get_settings=lambda: SETTINGS,
        acquire_settings_interface=lambda: SETTINGS,
        ISettings=Settings,
    )
    provide("carb.logging", acquire_logging=Logging)
    provide("carb.eventdispatcher", get_eventdispatcher=lambda: DISPATCHER)
    provide(
        "omni.timeline",
        get_timeline_interface=lambda: TIMELINE,
        TimelineEventType=TimelineEventType,
        GLOBAL_EVENT_STOP=GLOBAL_EVENT_STOP,
    )
    provide("omni.kit")
    provide("omni.kit.app", get_app=lambda: APP, get_app_interface=lambda: APP, IApp=App)
    provide("omni.kit.commands", Command=type("Command", (), {}), register_all_commands_in_module=lambda module: None)
    provide("omni.kit.loop")
    provide("omni.kit.loop._loop", acquire_loop_interface=Loop)
    provide("omni.usd", get_context=lambda: CONTEXT, StageEventType=StageEventType)
    provide("omni.ext", IExt=IExt)
    provide("omni.client", set_hang_detection_time_ms=lambda milliseconds: None)
    import warp

    # Removed from Warp after the version that Isaac Sim brings.
    for name in ("array", "indexedarray"):
        if not hasattr(warp.types, name):
            setattr(warp.types, name, getattr(warp, name))
    assert "omni.myriad" in sys.modules
