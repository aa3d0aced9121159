# SPDX-License-Identifier: Apache-2.0
"""Bring standalone PhysX up once per process: libraries, device, schemas, logging."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import torch

from omni.myriad.errors import MyriadError

logger = logging.getLogger("omni.myriad.physx")

_device_type: str | None = None
"""Device of the process: PhysX cannot leave CPU mode again, and GPU mode needs it unset from the start."""

_REPEATS_SHOWN = 3
_KINDS_SHOWN = 3  # of warnings
_SHOW_ALL = "MYRIAD_PHYSX_WARNINGS"
"""Environment variable that shows all warnings of PhysX."""

_TASKS = "/proc/self/task"
"""Where Linux lists the threads of this process."""


class _Repeats(logging.Filter):
    """Let each native message through a few times: a diverged robot would otherwise repeat itself every step.

    Of warnings, the first few kinds alone: others that follow would stand before the line that says what was wrong.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, int] = {}
        self._kinds = 0

    def filter(self, record: logging.LogRecord) -> bool:
        template = re.sub(r"\d+", "#", record.getMessage())
        self._seen[template] = self._seen.get(template, 0) + 1
        if self._seen[template] == 1 and record.levelno <= logging.WARNING and not os.environ.get(_SHOW_ALL):
            self._kinds += 1
            if self._kinds > _KINDS_SHOWN:
                self._seen[template] = _REPEATS_SHOWN  # none of its kind
                record.msg, record.args = f"PhysX has more to warn of, which {_SHOW_ALL}=1 shows", ()
                return self._kinds == _KINDS_SHOWN + 1
        if self._seen[template] == _REPEATS_SHOWN:
            record.msg, record.args = f"{record.getMessage()} (further messages like this are hidden)", ()
        return self._seen[template] <= _REPEATS_SHOWN


def start(device: torch.device) -> None:
    """Prepare this process for PhysX on one kind of device; later calls for the same kind do nothing.

    Args:
        device: The CPU or one CUDA device.

    Raises:
        MyriadError: If a library is missing, Kit runs in this process, or the process already uses the other kind.
    """
    global _device_type
    if device.type == _device_type:
        return
    if _device_type is not None:
        raise MyriadError(
            f"PhysX already runs on {_device_type} in this process and cannot change to {device.type}: start a new one."
        )
    if "carb" in sys.modules or "omni.kit.app" in sys.modules:
        raise MyriadError("Standalone PhysX cannot share a process with Isaac Sim: use engine=isaacsim here.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise MyriadError(
            "sim_device asks for CUDA, but torch finds none here: use sim_device=cpu, or see ./myriad doctor."
        )
    try:
        ctypes.CDLL("libGL.so.1")
    except OSError:
        raise MyriadError(
            "libGL.so.1 is missing, which PhysX needs: install it (Debian, Ubuntu: apt-get install libgl1)."
        ) from None
    try:
        import ovphysx
        import ovstage
    except ImportError as error:
        raise MyriadError(f"Standalone PhysX is not installed ({error}): pip install -e '.[physx]'.") from None

    # Such as bindings, in favour of sessions, which have no masks and use degrees.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"omni\.myriad\.engine\.physx")
    # Each shard is stepped by a thread of ours; PhysX's own workers would only compete with them.
    ovphysx.set_global_config(ovphysx.types.GlobalConfigKey.NUM_THREADS, 0)
    if device.type == "cpu":
        ovphysx.set_global_config(ovphysx.types.GlobalConfigKey.CPU_ONLY, True)
    ovphysx.set_log_level(ovphysx.types.LogLevel.WARNING)
    ovstage.population.register_usd_schemas([*_physx_schema_paths(), str(ovphysx.newton_schema_root())])
    logger.addFilter(_Repeats())
    _device_type = device.type


def create_instance(
    device: torch.device, disable_contact_processing: bool = False, smooth_cylinders: bool = False
) -> Any:
    """Create one PhysX instance, with its messages routed to Python's logger `omni.myriad.physx`.

    Args:
        device: Device that it simulates on.
        disable_contact_processing: Leave out the host's reports on contacts, which contact views read on a CPU; bodies
            collide as ever. On a GPU contact views read the device's own buffers.
        smooth_cylinders: Let cylinders and cones be round where they touch triangles, and not convex meshes.
    """
    import ovphysx

    keys = ovphysx.types.GlobalConfigKey
    ovphysx.set_global_config(keys.DISABLE_CONTACT_PROCESSING, disable_contact_processing)
    for key in (keys.COLLISION_CYLINDER_CUSTOM_GEOMETRY, keys.COLLISION_CONE_CUSTOM_GEOMETRY):
        # To set it is refused while other instances run, even where it changes nothing.
        if ovphysx.get_global_config(key) is not smooth_cylinders:
            ovphysx.set_global_config(key, smooth_cylinders)

    overrides: dict[str, bool | int | float | str] = {
        # Nobody reads the USD stage back while training, so PhysX need not write to it.
        "/physics/updateToUsd": False,
        "/physics/updateVelocitiesToUsd": False,
    }
    if device.type == "cuda":
        # Without this, tensors are staged through the CPU even when the GPU simulates.
        overrides["/physics/suppressReadback"] = True
    else:
        # Environment ids isolate environments on the GPU only; asking for them here would only print warnings.
        overrides["/ovphysx/clone/useEnvIds"] = False
    config = ovphysx.PhysXConfig(carbonite_overrides=overrides)
    gpus = str(device.index or 0) if device.type == "cuda" else None
    instance = ovphysx.PhysX(config=config, active_cuda_gpus=gpus)
    # The bridge ends with the last instance of a process, so each new one asks for it again.
    ovphysx.enable_python_logging(logger.name, min_severity=ovphysx.types.LogLevel.WARNING)
    ovphysx.enable_default_log_output(False)
    return instance


@contextlib.contextmanager
def idle_threads(device: torch.device) -> Iterator[None]:
    """Let threads that PhysX starts meanwhile run only where a core is idle, if it simulates on the CPU.

    One of them, for cooking meshes, looks for work fourteen thousand times per second, as long as the instance lives:
    it would interrupt the threads that step, which then take nearly twice as long on two cores. Linux only.
    """
    if device.type != "cpu" or not hasattr(os, "SCHED_IDLE"):
        yield
        return
    before = set(os.listdir(_TASKS))
    try:
        yield
    finally:
        for thread in set(os.listdir(_TASKS)) - before:
            with contextlib.suppress(OSError):  # it has ended, or the machine does not allow this
                os.sched_setscheduler(int(thread), os.SCHED_IDLE, os.sched_param(0))


def version() -> str:
    """Return the version of the standalone PhysX wheel."""
    return metadata.version("ovphysx")


def _physx_schema_paths() -> list[str]:
    try:
        package = metadata.distribution("physx-usd-schemas")
    except metadata.PackageNotFoundError:
        raise MyriadError("The package physx-usd-schemas is missing: pip install -e '.[physx]'.") from None
    modules = ("PhysxSchema", "OmniUsdPhysicsDeformableSchema")
    return [str(package.locate_file(f"physx_usd_schemas/{module}/resources")) for module in modules]
