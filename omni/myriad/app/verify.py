# SPDX-License-Identifier: Apache-2.0
"""Try everything in a real Isaac Sim, for the person who has one: `./myriad verify-isaacsim [FOLDER]`.

Nothing here accepts a licence: what needs one that was not accepted fails or is not run, and says so. Every check is a
command that people type; the report is written again after each, so that an end in the middle loses nothing.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from omni.myriad import provenance
from omni.myriad.engine.isaacsim import app as isaac_sim
from omni.myriad.errors import MyriadError
from omni.myriad.files import write_json, write_text
from omni.myriad.places import ROOT
from omni.myriad.task.loader import all_tasks

LIMIT_S = 3600
"""Seconds after which a command counts as hung."""

VERSIONS = ("5.1", "6.0", "6.1", "6.2")
LAUNCHER = str(ROOT / "myriad")

Status = Literal["passed", "failed", "not run"]

_BROKEN_TASK = '''# SPDX-License-Identifier: Apache-2.0
"""A task that breaks once Isaac Sim runs, written by ./myriad verify-isaacsim."""

from omni.myriad import RLTask


class {name}(RLTask):
    """Breaks."""

    num_observations = num_actions = 1

    def set_up_scene(self, scene):
        """Break."""
        {statement}
'''


@dataclass(frozen=True)
class Check:
    """How one line of the checklist went.

    Attributes:
        name: What was looked at.
        status: "not run" says that it could not be had here, and why; it is never a success.
        detail: What was seen.
        seconds: How long it took.
    """

    name: str
    status: Status
    detail: str
    seconds: float = 0.0


class NotRunError(Exception):
    """Raised by a check that cannot be had here; the text says why."""


class Checklist:
    """The checks and what they leave in a folder.

    Args:
        folder: Where reports, tasks and scores go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        self.checks: list[Check] = []
        self.commands: list[str] = []

    def run(self) -> int:
        """Run all checks, print the table, and return 1 if any failed."""
        has_gpu = _has_gpu()
        self.check("training on the CPU", lambda: self.bands("verify_cpu", "Cartpole", "first"))
        self.check("version and packages", self.version)
        self.check("the same seed, the same score", self.repeats)
        judged = _tasks_with_bands()
        for task in judged:
            self.check(f"{task} on the GPU", lambda task=task: self.on_gpu(has_gpu, task))
        for task in sorted({*all_tasks()} - {*judged}):
            self.check(f"{task} runs", lambda task=task: self.runs(task))
        self.check("a task that does not exist", lambda: self.ends(["task=Nope"], 2, "The tasks are"))
        self.check("a task's mistake", lambda: self.broken("VerifyMistake", "raise ValueError('x')", 2))
        self.check("a crash", lambda: self.broken("VerifyCrash", "self._env.engine.reset = None", 1))
        self.check("Ctrl-C", self.interrupted)
        self.window()
        self.check("container", self.container)
        print(self.table())
        print(f"Report: {self.folder / 'report.json'}")
        return int(any(check.status == "failed" for check in self.checks))

    def check(self, name: str, look: Callable[[], str]) -> None:
        """Run a check and take note: it returns what it saw, or raises NotRunError or whatever went wrong."""
        print(f"{name} ...", flush=True)
        start = time.monotonic()
        status: Status = "failed"
        try:
            status, detail = "passed", look()
        except NotRunError as reason:
            status, detail = "not run", str(reason)
        except (MyriadError, AssertionError, OSError, subprocess.TimeoutExpired, KeyError, ValueError) as error:
            detail = " ".join(str(error).split()) or type(error).__name__
        self.note(Check(name, status, detail, round(time.monotonic() - start, 1)))

    def note(self, check: Check) -> None:
        """Add a check, and write the report again."""
        self.checks.append(check)
        print(f"  {check.status}: {check.detail}", flush=True)
        report = {
            "machine": {"system": platform.platform(), "cores": os.cpu_count(), "python": sys.executable},
            "packages": provenance.versions(),
            "commit": provenance.git_revision(),
            "checks": [asdict(check) for check in self.checks],
            "commands": self.commands,
        }
        write_json(self.folder / "report.json", report)

    def table(self) -> str:
        """Return the checks as a table, and how many went how."""
        width = max(len(check.name) for check in self.checks)
        lines = [
            f"{check.name:{width}}  {check.status:7}  {check.seconds:7.1f} s  {textwrap.shorten(check.detail, 100)}"
            for check in self.checks
        ]
        statuses = [check.status for check in self.checks]
        counts = (f"{statuses.count(status)} {status}" for status in get_args(Status))
        return "\n".join([*lines, ", ".join(counts)])

    # -- commands -----------------------------------------------------------------------------------------------------

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, as a terminal does."""
        self.commands.append(shlex.join(arguments))
        environment = {name: value for name, value in os.environ.items() if name != "MYRIAD_EXIT_CODE"}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(arguments, cwd=ROOT, env=environment, start_new_session=True, **pipes)

    def finish(self, process: subprocess.Popen[str], seconds: float = LIMIT_S) -> tuple[int, str]:
        """Return a command's exit code and what it said; what hangs is ended."""
        try:
            output, _ = process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        number = len(self.commands)
        write_text(self.folder / f"command-{number}.log", output)
        return process.returncode, output

    def ends(self, settings: Sequence[str], code: int, says: str) -> str:
        """Train with settings that end in an exit code and a line that says something."""
        found, output = self.finish(self.start(LAUNCHER, "train", *settings))
        assert found == code, f"exit code {found} instead of {code}: {output[-500:]}"
        line = next((line for line in reversed(output.splitlines()) if says in line), None)
        assert line is not None, f"nothing says {says!r}: {output[-500:]}"
        return f"exit code {code}: {line.strip()}"

    # -- checks -------------------------------------------------------------------------------------------------------

    def bands(self, suite: str, task: str, name: str) -> str:
        """Train a task, and hold its score against tests/bands.toml."""
        judge = [sys.executable, str(ROOT / "tests/check_bands.py"), suite, task, "--launcher", shlex.quote(LAUNCHER)]
        folder = self.folder / name
        code, output = self.finish(self.start(*judge, "--output", str(folder)))
        last = output.strip().splitlines()[-1] if output.strip() else "nothing was said"
        assert code == 0, last
        return last

    def on_gpu(self, has_gpu: bool, task: str) -> str:
        """Train a task with its own number of environments."""
        if not has_gpu:
            raise NotRunError("no GPU: nvidia-smi -L lists none, or CUDA_VISIBLE_DEVICES hides it")
        return self.bands("brief", task, "gpu")

    def runs(self, task: str) -> str:
        """Train a task that no band judges for one epoch."""
        settings = [f"task={task}", "num_envs=16", "sim_device=cpu", "max_iterations=1"]
        try:
            return self.ends([*settings, f"experiment=verify_{task}_{self.stamp}"], 0, "Trained")
        except AssertionError as error:
            if "could not be imported" in str(error):
                raise NotRunError("its robot is not in the cache: `./myriad import` it in another Python") from None
            if "has no CameraView" in str(error):
                raise NotRunError("a rehearsal has no cameras") from None
            raise

    def version(self) -> str:
        """Read what the training that has just run says of its engine."""
        path = max((ROOT / "runs").glob("bands_Cartpole_*/run.json"), key=lambda file: file.stat().st_mtime)
        engine = str(json.loads(path.read_text())["engine"])
        assert engine.startswith(tuple(f"Isaac Sim {version}" for version in VERSIONS)), f"the engine is {engine}"
        return ", ".join([engine, *(f"{name} {version}" for name, version in provenance.versions().items())])

    def repeats(self) -> str:
        """Train again with the same seed."""
        self.bands("verify_cpu", "Cartpole", "second")
        first, second = (
            json.loads((self.folder / name / "Cartpole-summary.json").read_text())["reward_mean"]
            for name in ("first", "second")
        )
        assert first == second, f"{first} and then {second}"
        return f"{first!r}, twice"

    def broken(self, name: str, statement: str, code: int) -> str:
        """Train a task that breaks once Isaac Sim runs."""
        file = f"{'verify_mistake' if name == 'VerifyMistake' else 'verify_crash'}.py"
        write_text(self.folder / "tasks" / file, _BROKEN_TASK.format(name=name, statement=statement))
        settings = [f"task={name}", f"task.task_path=[{self.folder / 'tasks'}]", "num_envs=4", "sim_device=cpu"]
        return self.ends(settings, code, "Error: " if code == 2 else "Error")

    def interrupted(self) -> str:
        """Interrupt a training as a terminal does."""
        name = f"verify_ctrl_c_{self.stamp}"
        run_dir = ROOT / "runs" / name
        settings = ["task=Cartpole", "num_envs=64", "sim_device=cpu", "max_iterations=100000", f"experiment={name}"]
        process = self.start(LAUNCHER, "train", *settings)
        progress, end = run_dir / "progress.csv", time.monotonic() + LIMIT_S
        while process.poll() is None and time.monotonic() < end:
            if progress.is_file() and len(progress.read_text().splitlines()) > 3:
                break
            time.sleep(0.2)
        start = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        code, output = self.finish(process, 120.0)
        seconds = time.monotonic() - start
        assert code == 130, f"exit code {code} instead of 130: {output[-500:]}"
        assert (run_dir / "checkpoints/last.pth").is_file(), "no checkpoint was written"
        return f"130 and a checkpoint, {seconds:.1f} s after Ctrl-C"

    def window(self) -> None:
        """Open Isaac Sim with the extension, and have `ui/checklist.py` drive its window there."""
        result = self.folder / "window.json"
        script = self.folder / "window.py"
        write_text(
            script,
            "import asyncio\nfrom omni.myriad.ui import checklist\n"
            f"myriad_checklist = asyncio.ensure_future(checklist.run({str(self.folder)!r}))\n",
        )
        hidden = [] if os.environ.get("DISPLAY") else ["--no-window"]

        def look() -> str:
            code, output = self.finish(self.start(LAUNCHER, "gui", *hidden, "--exec", str(script)))
            assert result.is_file(), f"exit code {code}, and nothing was reported: {output[-500:]}"
            return f"closed with exit code {code}"

        self.check("the window opens and closes", look)
        if result.is_file():
            for found in json.loads(result.read_text()):
                self.note(Check(**found))

    def container(self) -> str:
        """Build Isaac Sim's container, where its licence was accepted, and ask it for a task that does not exist."""
        if shutil.which("docker") is None:
            raise NotRunError("docker is not installed")
        if os.environ.get("ACCEPT_EULA") != "Y":
            raise NotRunError("NVIDIA's licence was not accepted for the container: ACCEPT_EULA is not set to Y")
        code, output = self.finish(self.start(LAUNCHER, "container", "build", "isaacsim"))
        assert code == 0, f"the build ended with {code}: {output[-500:]}"
        train = ("run", "isaacsim", "train", "task=Nope")
        code, output = self.finish(self.start(LAUNCHER, "container", *train))
        assert code == 2 and "Nope" in output, f"exit code {code} instead of 2: {output[-500:]}"
        return "built; its exit code passes through"


def _tasks_with_bands() -> list[str]:
    """Return the tasks whose scores on a GPU are judged, in the order of tests/bands.toml."""
    import tomllib  # which Isaac Sim's Pythons, 3.11 and 3.12, have

    return list(tomllib.loads((ROOT / "tests/bands.toml").read_text())["brief"])


def _has_gpu() -> bool:
    """Tell whether there is a GPU that has not been hidden."""
    if shutil.which("nvidia-smi") is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return False
    return subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode == 0


def run_verify(arguments: Sequence[str]) -> int:
    """Run the checklist and return its exit code.

    Raises:
        MyriadError: If this Python has no Isaac Sim.
    """
    if len(arguments) > 1 or any(argument.startswith("-") or "=" in argument for argument in arguments):
        raise MyriadError("Give at most one folder for the report: ./myriad verify-isaacsim [FOLDER]")
    if not isaac_sim.is_available():
        raise MyriadError(
            "verify-isaacsim needs Isaac Sim, which this Python does not have: set ISAACSIM_PATH to its folder, or "
            "activate the environment into which pip installed it (see docs/isaac-sim.md)."
        )
    folder = (
        Path(arguments[0]) if arguments else ROOT / "runs" / f"verify-isaacsim_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    )
    return Checklist(folder.expanduser().absolute()).run()
