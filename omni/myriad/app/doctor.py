# SPDX-License-Identifier: Apache-2.0
"""Say what works on this machine, one line per fact, and how to fix what does not: `./myriad doctor`.

Nothing here imports a physics engine: PhysX is tried in processes of its own, and Isaac Sim is only looked for.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omni.myriad.app.requirements import constraints, install_command, isaac_sim, requirements
from omni.myriad.places import child_environment
from omni.myriad.provenance import fields, installed

if TYPE_CHECKING:
    from packaging.requirements import Requirement

GLIBC = (2, 35)  # ovphysx is a manylinux_2_35 wheel
PROBE_SECONDS = 180


@dataclass(frozen=True)
class Fact:
    """One line of the report: what was looked at, what was found, and the command or advice that helps."""

    name: str
    value: str
    state: Literal["good", "note", "bad"] = "good"  # a note does not keep training from running
    fix: str = ""


def judged(name: str, value: str, is_good: bool, fix: str, otherwise: Literal["note", "bad"] = "bad") -> Fact:
    """Return a good line, or one that says what helps."""
    return Fact(name, value) if is_good else Fact(name, value, otherwise, fix)


def can_train(facts: list[Fact]) -> bool:
    """Tell whether training can run: nothing is bad."""
    return all(fact.state != "bad" for fact in facts)


def pip_install(what: str) -> str:
    """Return the command that installs `what` where this Python looks."""
    keep = f"-c '{constraints()}' " if isaac_sim() else ""
    return f"{sys.executable} -m pip install {keep}{what}"


def package_fact(wanted: Requirement, version: str | None, about: str = "") -> Fact:
    """Check a package's version; `about` is said where it is right."""
    wants = f"{wanted.name}{wanted.specifier}"
    is_good = version is not None and wanted.specifier.contains(version, prereleases=True)
    value = "not installed" if version is None else version + (about if is_good else f", where {wants} is needed")
    return judged(wanted.name, value, is_good, pip_install(f"'{wants}'"))


def package_facts(extra: str = "") -> list[Fact]:
    """Check the packages that an extra of pyproject.toml needs, or Myriad without extras; torch has its own line."""
    return [package_fact(one, installed(one.name)) for one in requirements(extra) if one.name != "torch"]


def python_fact(version: tuple[int, ...] = sys.version_info[:3]) -> Fact:
    """Check this Python's version."""
    value = f"{'.'.join(map(str, version))} ({sys.executable})"
    fix = "rm -rf .venv && MYRIAD_PYTHON=python3.11 ./myriad doctor  # 3.10 to 3.13"
    return judged("Python", value, (3, 10) <= version[:2] <= (3, 13), fix)


def platform_fact(system: str, machine: str, libc: tuple[str, str]) -> Fact:
    """Check the operating system and its C library, as `platform` names them."""
    value = f"{system} {machine}, {' '.join(libc).strip() or 'no glibc'}"
    is_good = system == "Linux" and libc[0] == "glibc" and tuple(map(int, libc[1].split("."))) >= GLIBC
    fix = "use Linux with glibc 2.35 or newer, such as Ubuntu 22.04 or Debian 12, or a container of it"
    return judged("Platform", value, is_good, fix)


def cpu_fact(machine: str, cpuinfo: str) -> Fact:
    """Check that an x86-64 processor has AVX, from the text of /proc/cpuinfo."""
    cpu = fields(cpuinfo)
    model, has_avx = cpu.get("model name", machine), "avx" in cpu.get("flags", "").split()
    if machine != "x86_64":
        return Fact("Processor", model)
    fix = "PhysX needs AVX: use another machine, or let the hypervisor pass AVX through"
    return judged("Processor", f"{model}, {'AVX' if has_avx else 'no AVX'}", has_avx, fix)


def capacity_fact(cores: int, meminfo: str) -> Fact:
    """Report cores and memory, from the text of /proc/meminfo, and note when little memory is free."""
    free, total = (int(fields(meminfo)[name].split()[0]) / 2**20 for name in ("MemAvailable", "MemTotal"))
    value = f"{cores} cores, {free:.1f} of {total:.1f} GiB memory free"
    return judged("Capacity", value, free >= 3.0, "free some memory, or train with a smaller num_envs", "note")


def libgl_fact(load: Callable[[str], object] = ctypes.CDLL) -> Fact:
    """Check that libGL.so.1 loads: without it ovphysx says only that it cannot load itself."""
    try:
        load("libGL.so.1")
        return Fact("libGL.so.1", "found")
    except OSError:
        fix = "sudo apt-get install -y libgl1  # Fedora, RHEL: sudo dnf install -y mesa-libGL"
        return Fact("libGL.so.1", "missing", "bad", fix)


def torch_fact(version: str | None, cuda: str | None, devices: list[str]) -> Fact:
    """Check torch.

    Args:
        version: torch's version, None where it is not installed.
        cuda: The CUDA version that torch was built for, None for a CPU build.
        devices: Names of the CUDA devices that torch can use.
    """
    if version and version.startswith("broken"):
        return Fact("torch", version, "bad", pip_install("--force-reinstall torch"))
    about = f" ({f'CUDA {cuda}' if cuda else 'CPU build'}), devices: {', '.join(['cpu', *devices])}"
    return package_fact(next(one for one in requirements() if one.name == "torch"), version, about)


def gpu_facts(gpus: list[list[str]], cuda: str | None, devices: list[str]) -> list[Fact]:
    """Report NVIDIA's driver and each GPU with its free memory.

    Args:
        gpus: What `nvidia_smi` returned.
        cuda: The CUDA version that torch was built for, None for a CPU build.
        devices: Names of the CUDA devices that torch can use.
    """
    facts = [] if gpus else [Fact("GPU", "none, or no NVIDIA driver: training runs on the CPU", "note")]
    for index, (name, driver, free, total) in enumerate(gpus):
        value = f"{name}, driver {driver}, {free} of {total} MiB free"
        plenty = not free.isdigit() or int(free) >= 4096  # not a number where memory is shared with the CPU
        fix = "nvidia-smi  # shows what uses the memory; end that, or train on the CPU"
        facts.append(judged(f"GPU {index}", value, plenty, fix, "note"))
    if gpus and not devices:
        fix = "update NVIDIA's driver: it is too old for torch's CUDA"
        fix = fix if cuda else pip_install("--force-reinstall torch") + "  # a build with CUDA"
        facts.append(Fact("CUDA in torch", "torch cannot use this GPU: training runs on the CPU", "note", fix))
    return facts


def engine_fact(isaac: str | None, ovphysx: str | None) -> Fact:
    """Name the physics engine that `engine=auto` takes."""
    if not isaac:
        value = f"standalone PhysX, ovphysx {ovphysx}" if ovphysx else "none"
        return judged("Engine", value, ovphysx is not None, install_command(["physx"]))
    also = f"; ovphysx {ovphysx} is here too, and must never share a process with it"
    fix = f"{sys.executable} -m pip uninstall -y ovphysx usd-core"
    return judged("Engine", f"Isaac Sim {isaac}{also if ovphysx else ' (not started here)'}", not ovphysx, fix, "note")


def probe(device: str) -> dict:
    """Let a body fall in a process of its own and return what `engine.physx.probe` printed."""
    command = [sys.executable, "-m", "omni.myriad.engine.physx.probe", device]
    how: dict[str, Any] = {"env": child_environment(), "stdin": subprocess.DEVNULL, "timeout": PROBE_SECONDS}
    try:
        done = subprocess.run(command, capture_output=True, text=True, **how)
    except subprocess.TimeoutExpired:
        return {"ok": False, "error": f"no answer in {PROBE_SECONDS} s"}
    answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
    *_, last = ["no message", *done.stderr.strip().splitlines()]
    return json.loads(answers[-1]) if answers else {"ok": False, "error": f"exit code {done.returncode}: {last}"}


def physx_fact(device: str, outcome: dict) -> Fact:
    """Report a probe: a body that fell for 0.5 s, and as far as it should."""
    name = f"PhysX on {device}"
    if "fall_m" in outcome:
        fall, expected, seconds = outcome["fall_m"], outcome["expected_m"], outcome["seconds"]
        value = f"a body fell {fall} m in 0.5 s (g t²/2 = {expected} m), tried in {seconds} s"
        if outcome["ok"]:
            return Fact(name, value)
        outcome = {"error": f"wrong: {value}, on {outcome['device']}"}
    fix = f"fix the lines above first; then: {sys.executable} -m omni.myriad.engine.physx.probe {device}"
    return Fact(name, outcome["error"], "bad", fix)


def wandb_fact(version: str | None) -> Fact:
    """Report Weights & Biases, which is optional."""
    value = f"{version} (used with wandb_activate=True)" if version else "not installed (optional)"
    return judged("wandb", value, version is not None, pip_install("wandb"), "note")


def look_at_torch() -> tuple[str | None, str | None, list[str]]:
    """Return torch's version, the CUDA version it was built for, and the CUDA devices it can use."""
    if importlib.util.find_spec("torch") is None:
        return None, None, []
    try:
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        devices = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(count)]
        return torch.__version__, torch.version.cuda, devices
    except Exception as error:  # it is there but cannot be imported
        return f"broken ({error})", None, []


def nvidia_smi() -> list[list[str]]:
    """Return name, driver version, free and total MiB of each GPU, nothing where there is no driver."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.free,memory.total"]
    try:
        done = subprocess.run([*command, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = done.stdout.strip().splitlines() if done.returncode == 0 else []
    return [[cell.strip() for cell in line.split(",")] for line in lines]


def collect() -> list[Fact]:
    """Look at everything and return the report's lines in order; a check that fails becomes a bad line itself."""
    facts: list[Fact] = []

    def look(name: str, check: Callable[..., Fact | list[Fact]], *arguments: Any) -> None:
        try:
            found = check(*arguments)
        except Exception as error:  # a broken package can raise anything
            found = Fact(name, " ".join(f"{type(error).__name__}: {error}".split()), "bad", "reinstall what this names")
        facts.extend(found if isinstance(found, list) else [found])

    look("Python", python_fact)
    look("Platform", platform_fact, platform.system(), platform.machine(), platform.libc_ver())
    look("Processor", lambda: cpu_fact(platform.machine(), Path("/proc/cpuinfo").read_text()))
    look("Capacity", lambda: capacity_fact(len(os.sched_getaffinity(0)), Path("/proc/meminfo").read_text()))
    version, cuda, devices = look_at_torch()
    look("torch", torch_fact, version, cuda, devices)
    look("GPU", gpu_facts, nvidia_smi(), cuda, devices)
    look("Packages", package_facts)
    isaac = isaac_sim()
    look("Engine", engine_fact, isaac, installed("ovphysx"))
    if not isaac:
        look("libGL.so.1", libgl_fact)
        look("Packages of PhysX", package_facts, "physx")
        for device in ("cpu", "cuda:0") if devices else ("cpu",):
            look(f"PhysX on {device}", physx_fact, device, probe(device))
        if not devices:
            facts.append(Fact("PhysX on cuda:0", "not tried: torch has no CUDA device", "note"))
    look("wandb", wandb_fact, installed("wandb"))
    return facts


def show(facts: list[Fact]) -> None:
    """Print a line per fact, then what to fix, in lines that can be copied. It needs no package: any may be lacking."""
    marks = {"good": "✓", "note": "·", "bad": "✗"}
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        marks = {"good": "\033[32m✓\033[0m", "note": "\033[33m·\033[0m", "bad": "\033[31m✗\033[0m"}
    width = max(len(fact.name) for fact in facts)
    print("\n".join(f"{marks[fact.state]}  {fact.name:{width}}  {fact.value}" for fact in facts))
    for state, title in (("bad", "To fix"), ("note", "Worth knowing")):
        lines = [f"  {fact.name}: {fact.fix}" for fact in facts if fact.state == state and fact.fix]
        if lines:
            print("\n".join(["", title, *lines]))
    print("\nTraining can run." if can_train(facts) else "\nTraining cannot run until the lines marked ✗ are fixed.")


def main(arguments: Sequence[str]) -> int:
    """Report, and return 0 if training can run, 1 if it cannot, 2 for arguments, of which there are none."""
    if arguments:
        print(f"doctor takes no arguments, got: {' '.join(arguments)}", file=sys.stderr)
        return 2
    facts = collect()
    show(facts)
    return 0 if can_train(facts) else 1
