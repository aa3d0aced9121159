# SPDX-License-Identifier: Apache-2.0
"""Say what works on this machine, one line a fact, and how to mend what does not: `./myriad doctor`.

Nothing here imports a physics engine: PhysX is tried in processes of its own, and Isaac Sim is only looked for.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from omni.myriad.app.requirements import has_isaac_sim, install_command, requirements
from omni.myriad.places import ROOT

if TYPE_CHECKING:
    from packaging.requirements import Requirement

GLIBC = (2, 35)  # ovphysx is a manylinux_2_35 wheel
PROBE_SECONDS = 180


@dataclass(frozen=True)
class Fact:
    """One line of the report: what was looked at, what was found, and the command or advice that mends it."""

    name: str
    value: str
    state: Literal["good", "note", "bad"] = "good"  # a note does not keep training from running
    mend: str = ""


def can_train(facts: list[Fact]) -> bool:
    """Tell whether training can run: nothing is bad."""
    return all(fact.state != "bad" for fact in facts)


def pip_install(what: str) -> str:
    """Return the command that installs `what` where this Python looks."""
    return f"{sys.executable} -m pip install {what}"


def version_tuple(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: "2.13.0+cpu" is (2, 13, 0)."""
    numbers: list[int] = []
    for part in version.split("+")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def installed(package: str) -> str | None:
    """Return a package's version, or None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def python_fact(version: tuple[int, ...] = sys.version_info[:3]) -> Fact:
    """Check this Python's version."""
    value = f"{'.'.join(map(str, version))} ({sys.executable})"
    if (3, 10) <= version[:2] <= (3, 13):
        return Fact("Python", value)
    return Fact("Python", value, "bad", "rm -rf .venv && MYRIAD_PYTHON=python3.11 ./myriad doctor  # 3.10 to 3.13")


def platform_fact(system: str, machine: str, libc: tuple[str, str]) -> Fact:
    """Check the operating system and its C library, as `platform` names them."""
    value = f"{system} {machine}, {' '.join(libc).strip() or 'no glibc'}"
    if system == "Linux" and libc[0] == "glibc" and version_tuple(libc[1]) >= GLIBC:
        return Fact("Platform", value)
    mend = "use Linux with glibc 2.35 or newer, such as Ubuntu 22.04 or Debian 12, or a container of it"
    return Fact("Platform", value, "bad", mend)


def cpu_fact(machine: str, cpuinfo: str) -> Fact:
    """Check that an x86-64 processor has AVX, from the text of /proc/cpuinfo."""
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    fields = {key.strip(): value.strip() for key, _, value in lines}  # every processor's are alike
    model = fields.get("model name", machine)
    if machine != "x86_64":
        return Fact("Processor", model)
    if "avx" in fields.get("flags", "").split():
        return Fact("Processor", f"{model}, AVX")
    mend = "PhysX needs AVX: use another machine, or let the hypervisor pass AVX through"
    return Fact("Processor", f"{model}, no AVX", "bad", mend)


def capacity_fact(cores: int, meminfo: str) -> Fact:
    """Report cores and memory, from the text of /proc/meminfo, and note when little memory is free."""
    kib = {line.split(":")[0]: int(line.split()[1]) for line in meminfo.splitlines() if line.endswith("kB")}
    free, total = kib["MemAvailable"] / 2**20, kib["MemTotal"] / 2**20
    value = f"{cores} cores, {free:.1f} of {total:.1f} GiB memory free"
    if free < 3.0:
        return Fact("Capacity", value, "note", "free some memory, or train with a smaller num_envs")
    return Fact("Capacity", value)


def libgl_fact(load: Callable[[str], object] = ctypes.CDLL) -> Fact:
    """Check that libGL.so.1 loads: without it ovphysx says only that it cannot load itself."""
    try:
        load("libGL.so.1")
    except OSError:
        mend = "sudo apt-get install -y libgl1  # Fedora, RHEL: sudo dnf install -y mesa-libGL"
        return Fact("libGL.so.1", "missing", "bad", mend)
    return Fact("libGL.so.1", "found")


def torch_fact(version: str | None, cuda: str | None, devices: list[str]) -> Fact:
    """Check torch.

    Args:
        version: torch's version, None where it is not installed.
        cuda: The CUDA version that torch was built for, None for a CPU build.
        devices: Names of the CUDA devices that torch can use.
    """
    if version and version.startswith("broken"):
        return Fact("torch", version, "bad", pip_install("--force-reinstall torch"))
    fact = package_fact(next(one for one in requirements() if one.name == "torch"), version)
    if fact.state == "bad":
        return fact
    built = f"CUDA {cuda}" if cuda else "CPU build"
    return Fact("torch", f"{version} ({built}), devices: {', '.join(['cpu', *devices])}")


def gpu_facts(nvidia_smi: str | None, cuda: str | None, devices: list[str]) -> list[Fact]:
    """Report NVIDIA's driver and each GPU with its free memory.

    Args:
        nvidia_smi: Lines of "name, driver version, free MiB, total MiB", None where there is no driver.
        cuda: The CUDA version that torch was built for, None for a CPU build.
        devices: Names of the CUDA devices that torch can use.
    """
    if not nvidia_smi:
        return [Fact("GPU", "none, or no NVIDIA driver: training runs on the CPU", "note")]
    facts = []
    for index, line in enumerate(nvidia_smi.strip().splitlines()):
        name, driver, free, total = (cell.strip() for cell in line.split(","))
        value = f"{name}, driver {driver}, {free} of {total} MiB free"
        if free.isdigit() and int(free) < 4096:  # not a number where memory is shared with the CPU
            mend = "nvidia-smi  # shows what uses the memory; end that, or train on the CPU"
            facts.append(Fact(f"GPU {index}", value, "note", mend))
        else:
            facts.append(Fact(f"GPU {index}", value))
    if not devices:
        mend = "update NVIDIA's driver: it is too old for torch's CUDA" if cuda else ""
        mend = mend or pip_install("--force-reinstall torch") + "  # a build with CUDA"
        facts.append(Fact("CUDA in torch", "torch cannot use this GPU: training runs on the CPU", "note", mend))
    return facts


def package_fact(wanted: Requirement, version: str | None) -> Fact:
    """Check a package's version."""
    mend = pip_install(f"'{wanted.name}{wanted.specifier}'")
    if version is None:
        return Fact(wanted.name, "not installed", "bad", mend)
    if not wanted.specifier.contains(version, prereleases=True):
        return Fact(wanted.name, f"{version}, where {wanted.name}{wanted.specifier} is needed", "bad", mend)
    return Fact(wanted.name, version)


def package_facts(extra: str = "") -> list[Fact]:
    """Check the packages that an extra of pyproject.toml needs, or Myriad without extras; torch has its own line."""
    return [package_fact(one, installed(one.name)) for one in requirements(extra) if one.name != "torch"]


def isaac_sim() -> str | None:
    """Return Isaac Sim's version if this is Isaac Sim's Python, without importing any of it."""
    if folder := os.environ.get("ISAACSIM_PATH"):
        file = Path(folder, "VERSION")
        return file.read_text().strip() if file.is_file() else f"of unknown version in {folder}"
    return installed("isaacsim") if has_isaac_sim() else None


def engine_fact(isaac: str | None, ovphysx: str | None) -> Fact:
    """Name the physics engine that `engine=auto` takes."""
    if isaac and ovphysx:
        value = f"Isaac Sim {isaac}; ovphysx {ovphysx} is here too, and must never share a process with it"
        return Fact("Engine", value, "note", f"{sys.executable} -m pip uninstall -y ovphysx usd-core")
    if isaac:
        return Fact("Engine", f"Isaac Sim {isaac} (not started here)")
    if ovphysx:
        return Fact("Engine", f"standalone PhysX, ovphysx {ovphysx}")
    return Fact("Engine", "none", "bad", install_command(["physx"]))


def probe(device: str) -> dict:
    """Let a body fall in a process of its own and return what `engine.physx.probe` printed."""
    command = [sys.executable, "-m", "omni.myriad.engine.physx.probe", device]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PROBE_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return {"ok": False, "error": f"no answer in {PROBE_SECONDS} s"}
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return {"ok": False, "error": f"exit code {done.returncode}: {last}"}


def physx_fact(device: str, outcome: dict) -> Fact:
    """Report a probe: a body that fell for 0.5 s, and as far as it should."""
    name = f"PhysX on {device}"
    if "fall_m" in outcome:
        fall, expected, seconds = outcome["fall_m"], outcome["expected_m"], outcome["seconds"]
        value = f"a body fell {fall} m in 0.5 s (g t²/2 = {expected} m), tried in {seconds} s"
        if outcome["ok"]:
            return Fact(name, value)
        outcome = {"error": f"wrong: {value}, on {outcome['device']}"}
    mend = f"mend the lines above first; then: {sys.executable} -m omni.myriad.engine.physx.probe {device}"
    return Fact(name, outcome["error"], "bad", mend)


def wandb_fact(version: str | None) -> Fact:
    """Report Weights & Biases, which is optional."""
    if version:
        return Fact("wandb", f"{version} (used with wandb_activate=True)")
    return Fact("wandb", "not installed (optional)", "note", pip_install("wandb"))


def look_at_torch() -> tuple[str | None, str | None, list[str]]:
    """Return torch's version, the CUDA version it was built for, and the CUDA devices it can use."""
    if importlib.util.find_spec("torch") is None:
        return None, None, []
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(count)]
    return torch.__version__, torch.version.cuda, devices


def run_nvidia_smi() -> str | None:
    """Return what nvidia-smi says of each GPU, None where there is no driver."""
    query = "--query-gpu=name,driver_version,memory.free,memory.total"
    try:
        done = subprocess.run(
            ["nvidia-smi", query, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def collect() -> list[Fact]:
    """Look at everything and return the report's lines in order; a check that fails becomes a bad line itself."""
    facts: list[Fact] = []

    def look(name: str, check: Callable[[], Fact | list[Fact]]) -> None:
        try:
            found = check()
        except Exception as error:  # a broken package can raise anything
            found = Fact(name, " ".join(f"{type(error).__name__}: {error}".split()), "bad", "reinstall what this names")
        facts.extend(found if isinstance(found, list) else [found])

    machine = platform.machine()
    look("Python", python_fact)
    look("Platform", lambda: platform_fact(platform.system(), machine, platform.libc_ver()))
    look("Processor", lambda: cpu_fact(machine, Path("/proc/cpuinfo").read_text()))
    look("Capacity", lambda: capacity_fact(len(os.sched_getaffinity(0)), Path("/proc/meminfo").read_text()))
    try:
        version, cuda, devices = look_at_torch()
    except Exception as error:  # torch is there but cannot be imported
        version, cuda, devices = f"broken ({error})", None, []
    look("torch", lambda: torch_fact(version, cuda, devices))
    look("GPU", lambda: gpu_facts(run_nvidia_smi(), cuda, devices))
    look("Packages", package_facts)
    isaac = isaac_sim()
    look("Engine", lambda: engine_fact(isaac, installed("ovphysx")))
    if not isaac:
        look("libGL.so.1", libgl_fact)
        look("Packages of PhysX", lambda: package_facts("physx"))
        look("PhysX on cpu", lambda: physx_fact("cpu", probe("cpu")))
        if devices:
            look("PhysX on cuda:0", lambda: physx_fact("cuda:0", probe("cuda:0")))
        else:
            facts.append(Fact("PhysX on cuda:0", "not tried: torch has no CUDA device", "note"))
    look("wandb", lambda: wandb_fact(installed("wandb")))
    return facts


def show_table(facts: list[Fact]) -> None:
    """Print one line a fact."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console.width = 160  # a log has no edge to wrap at
    marks = {"good": Text("✓", "green"), "note": Text("·", "yellow"), "bad": Text("✗", "red")}
    table = Table(box=None, show_header=False, pad_edge=False)
    for fact in facts:
        table.add_row(marks[fact.state], Text(fact.name, "bold"), Text(fact.value))
    console.print(table)


def show(facts: list[Fact]) -> None:
    """Print the report as a table, then what to mend, in plain lines that can be copied."""
    try:
        show_table(facts)
    except ImportError:  # the doctor is also for machines where the installation went wrong
        for fact in facts:
            print(f"{fact.state}  {fact.name}: {fact.value}")
    for state, title in (("bad", "To mend"), ("note", "Worth knowing")):
        lines = [f"  {fact.name}: {fact.mend}" for fact in facts if fact.state == state and fact.mend]
        if lines:
            print("\n".join(["", title, *lines]))
    print("\nTraining can run." if can_train(facts) else "\nTraining cannot run until the lines marked ✗ are mended.")


def main(arguments: Sequence[str]) -> int:
    """Report, and return 0 if training can run, 1 if it cannot, 2 for arguments, of which there are none."""
    if arguments:
        print(f"doctor takes no arguments, got: {' '.join(arguments)}", file=sys.stderr)
        return 2
    facts = collect()
    show(facts)
    return 0 if can_train(facts) else 1
