# SPDX-License-Identifier: Apache-2.0
"""The verb `soak`: trainings side by side, ended at random moments and resumed, and all that they leave checked."""

from __future__ import annotations

import csv
import os
import platform
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Event, Lock
from typing import Any

from omni.myriad.app import cli
from omni.myriad.app.options import Section, option, page, parse
from omni.myriad.errors import MyriadError
from omni.myriad.files import write_json
from omni.myriad.places import COMMAND

SAVE_EVERY = 5  # epochs, so that many kills hit a save
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
MOMENTS = ("while it starts", "while it trains", "while it saves")
HUNG_SECONDS = 600.0  # on a machine that does much else
SETTLED_SECONDS = 300.0  # a process has what it needs by then
GROWTH = 1.02


class Soak(Section):
    """Start trainings, end them in every way at random moments, resume them, and check what is left: for hours."""

    usage = "minutes=120 [key=value ...]"

    minutes: float = option(120.0, "how long", above=0)
    seed: int = option(42, "of the moments, signals and flipped bits", least=0)
    tasks: str = option("Cartpole,Ant", "what is trained and ended, side by side, with commas", filled=True)
    num_envs: int = option(32, "environments of each", least=1)
    output: str = option("runs/soak", "folder to make, for the runs and report.json", filled=True)


def main(arguments: Sequence[str]) -> None:
    """Soak for as long as asked, print what was counted, and exit with 1 if anything was not as promised."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(page("soak", Soak))
        cli.leave(0)

    def run() -> None:
        names, values = parse("soak", Soak, arguments)
        if names:
            raise MyriadError(f"{names[0]} is not understood: {COMMAND} soak {Soak.usage}.")
        output = Path(values["output"]).expanduser().absolute()
        if output.exists():
            raise MyriadError(f"output={output} exists: name a folder to make.")
        soak = Bath(values, output)
        soak.run()
        if soak.violations:
            cli.leave(1)

    cli.attempt(run)


class Bath:
    """Several lanes, each a thread with one training at a time, or some.

    Attributes:
        counts: How often what was tried, by name.
        violations: What was not as promised; each names the folder with what is left.
        over: Set once the time is up.
    """

    def __init__(self, values: dict[str, Any], output: Path) -> None:
        self.values, self.output = values, output
        self.runs = output / "runs"
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self.memory: dict[str, Any] = {}
        self.started, self.over, self._lock = time.monotonic(), Event(), Lock()

    def run(self) -> None:
        """Let all lanes go until the time is up or a signal comes."""
        self.runs.mkdir(parents=True)
        for number in SIGNALS[:3]:
            signal.signal(number, lambda *_: self.over.set())  # a handler, because what is ignored is inherited
        tasks = [task.strip() for task in self.values["tasks"].split(",")]
        lanes: list[Callable[[], None]] = [lambda task=task: self.end_and_resume(task) for task in tasks]
        lanes += [lambda: self.start_twice(tasks[0]), lambda: self.watch_memory(tasks[0])]
        with ThreadPoolExecutor(len(lanes)) as pool:
            going = [pool.submit(lane) for lane in lanes]
            while not all(future.done() for future in going):
                self.over.wait(10.0) or time.sleep(1.0)
                if time.monotonic() - self.started > 60.0 * self.values["minutes"]:
                    self.over.set()
                self.write()
        for future in going:
            future.result()
        self.write()
        rows = [*self.counts.items(), *self.memory.items(), ("not as promised", len(self.violations))]
        print("\n".join(f"{name:60} {value}" for name, value in rows))
        print("\n".join(self.violations) + f"\nReport: {self.output / 'report.json'}")

    def write(self) -> None:
        """Write what is known by now."""
        about = {"machine": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
        about |= {"load": os.getloadavg(), "ended": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        minutes = round((time.monotonic() - self.started) / 60.0, 1)
        with self._lock:
            counts = dict(sorted(self.counts.items()))
        found = {"counts": counts, "memory": self.memory, "violations": self.violations}
        write_json(self.output / "report.json", {"settings": self.values, **about, "minutes": minutes, **found})

    def count(self, what: str, times: int = 1) -> None:
        """Add to what the report says was tried."""
        with self._lock:
            self.counts[what] += times

    def expect(self, holds: object, promise: str, run: Training) -> None:
        """Count a promise that was looked at, and note where it does not hold."""
        self.count(f"checked: {promise}")
        if not holds:
            self.violations.append(f"{promise}: not so in {run.folder}, start {run.start} ({run.log})")

    # -- lanes --------------------------------------------------------------------------------------------------------

    def end_and_resume(self, task: str) -> None:
        """Train to a random epoch, ended by a signal again and again and resumed by the same command."""
        rng = random.Random(f"{self.values['seed']}/{task}")
        for number in count():
            goal = rng.randrange(50, 500)
            run = Training(self, f"{task}-{number}", task, goal)
            while not self.over.is_set() and run.epoch < goal:
                run.round(rng)
            if self.over.is_set():
                return
            self.count(f"{task}: runs brought to their end")

    def start_twice(self, task: str) -> None:
        """Start one experiment several times at once: one trains, the others say in a line who is there."""
        rng = random.Random(f"{self.values['seed']}/twice")
        for number in count():
            runs = [Training(self, f"twice-{number}", task, 10**6, f"-{i}") for i in range(rng.choice((2, 3)))]
            processes = [run.begin() for run in runs]
            while not self.over.is_set() and sum(process.poll() is None for process in processes) > 1:
                time.sleep(0.2)
            if not self.over.is_set():
                left = [process for process in processes if process.poll() is None]
                self.expect(len(left) == 1, "of starts at once in one folder one trains", runs[0])
                line = f"is in use by process {left[0].pid if left else '-'}"
                for run, process in zip(runs, processes, strict=True):
                    if process not in left:
                        lines = [text for text in run.log.read_text().splitlines() if text.startswith("Error: ")]
                        good = process.returncode == 2 and len(lines) == 1 and line in lines[0]
                        self.expect(good, "the others exit with 2 and one line that names it", run)
            for run, process in zip(runs, processes, strict=True):
                process.send_signal(signal.SIGTERM)
                process.wait()
                run.look_for_tracebacks()
            if self.over.wait(rng.uniform(0.0, 120.0)):
                return

    def watch_memory(self, task: str) -> None:
        """Train for the whole time, and see whether memory or open files grow."""
        run = Training(self, "long", task, 10**9, save_every=1000)
        process, samples = run.begin(), []
        while process.poll() is None and not self.over.wait(5.0):
            with suppress(FileNotFoundError):  # it ended just now
                status = Path(f"/proc/{process.pid}/status").read_text()
                resident = int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024.0
                files = float(len(os.listdir(f"/proc/{process.pid}/fd")))
                samples.append((time.monotonic() - self.started, resident, files))
            settled = [sample for sample in samples if sample[0] >= SETTLED_SECONDS][:12]
            if len(settled) == 12:
                (_, first, files), (last_time, last, files_last) = (
                    [statistics.median(column) for column in zip(*some, strict=True)]
                    for some in (settled, samples[-12:])
                )
                self.memory = {
                    "resident MiB after 5 minutes": first,
                    "resident MiB at the end": last,
                    "resident MiB at most": max(sample[1] for sample in samples),
                    "open files after 5 minutes": files,
                    "open files at the end": files_last,
                    "minutes watched": round(last_time / 60.0, 1),
                }
        self.expect(process.poll() is None, "a long run goes on", run)
        process.send_signal(signal.SIGTERM)
        self.expect(process.wait() == 128 + signal.SIGTERM, "a signal's exit code is 128 and its number", run)
        if self.memory:
            self.memory["epochs trained meanwhile"] = run.rows()[-1]
            grown = self.memory["resident MiB at the end"] / self.memory["resident MiB after 5 minutes"]
            self.expect(grown <= GROWTH, "resident memory is within 2 % of that after 5 minutes", run)
            same = self.memory["open files at the end"] <= self.memory["open files after 5 minutes"]
            self.expect(same, "there are no more open files than after 5 minutes", run)


class Training:
    """One run's folder, and the process that works in it, if any.

    Attributes:
        epoch: That of last.pth.
        start: How often the command was started.
    """

    def __init__(
        self, bath: Bath, name: str, task: str, goal: int, log: str = "", save_every: int = SAVE_EVERY
    ) -> None:
        self.bath, self.task, self.goal, self.save_every = bath, task, goal, save_every
        self.folder, self._log = bath.runs / name, bath.output / f"{name}{log}"
        self.checkpoint = self.folder / "checkpoints" / "last.pth"
        self.epoch = self.start = 0

    @property
    def log(self) -> Path:
        """What the last start printed."""
        return self._log.with_name(f"{self._log.name}-start-{self.start}.txt")

    def begin(self) -> subprocess.Popen[str]:
        """Start the command, which resumes if there is a checkpoint."""
        self.start += 1
        self.bath.count(f"{self.task}: starts")
        settings = {
            "task": self.task, "experiment": self.folder.name, "train_dir": self.folder.parent, "sim_device": "cpu",
            "num_envs": self.bath.values["num_envs"], "save_every": self.save_every, "max_iterations": self.goal,
        }  # fmt: skip
        if self.checkpoint.exists():
            settings["checkpoint"] = self.folder
            self.bath.count(f"{self.task}: resumes")
        command = [sys.executable, "-m", "omni.myriad", "train", *(f"{key}={value}" for key, value in settings.items())]
        with self.log.open("w") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def rows(self) -> list[int]:
        """Return the epochs in progress.csv."""
        try:
            with (self.folder / "progress.csv").open(newline="") as file:
                return [int(row[0]) for row in list(csv.reader(file))[1:] if row and row[0].isdigit()]
        except FileNotFoundError:
            return []

    def first_epoch(self) -> int | None:
        """Return the epoch that the last start began with, as it printed it."""
        found = re.search(r"^epoch (\d+)", self.log.read_text(), re.MULTILINE)
        return int(found[1]) if found else None

    def round(self, rng: random.Random) -> None:
        """Start, end by a random signal at a random moment, and check everything."""
        number, moment = rng.choice(SIGNALS), rng.choice(MOMENTS)
        process = self.begin()
        if moment == MOMENTS[0]:
            self._wait(process, rng.uniform(0.0, 15.0))
        elif self._wait(process, HUNG_SECONDS, lambda: self.first_epoch() is not None):
            self._wait(process, rng.uniform(0.0, 20.0))
            if moment == MOMENTS[2]:
                self._wait(process, HUNG_SECONDS, self._saves, every=0.0005)
        elif process.poll() is None and not self.bath.over.is_set():
            self.bath.expect(False, "a start reaches its first epoch", self)
        ended_itself = process.poll() is not None
        process.send_signal(number)
        try:
            code = process.wait(HUNG_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
            self.bath.expect(False, "a signal ends a training", self)
        self._check(code, None if ended_itself else number)
        self.bath.count(f"{self.task}: ended by itself" if ended_itself else f"{number.name} {moment}")

    def _saves(self) -> bool:
        return next(self.checkpoint.parent.glob(".*"), None) is not None

    def _wait(
        self,
        process: subprocess.Popen[str],
        seconds: float,
        until: Callable[[], bool] = lambda: False,
        every: float = 0.1,
    ) -> bool:
        """Wait, while the process lives and there is time, and return whether what was waited for has come."""
        end = time.monotonic() + seconds
        while not (come := until()) and time.monotonic() < end and process.poll() is None:
            if self.bath.over.is_set():
                break
            time.sleep(every)
        return come

    # -- what was promised --------------------------------------------------------------------------------------------

    def look_for_tracebacks(self) -> None:
        """Check that what ended was no defect."""
        self.bath.expect("Traceback" not in self.log.read_text(), "no traceback", self)

    def _check(self, code: int, number: signal.Signals | None) -> None:
        bath, before, first, rows = self.bath, self.epoch, self.first_epoch(), self.rows()
        self.look_for_tracebacks()
        trained, finished = first is not None, bool(rows) and rows[-1] >= self.goal
        if number is None:
            bath.expect(code == 0 and finished, "a run that nobody ends reaches its end, and exits with 0", self)
        else:
            allowed = {128 + number} if number != signal.SIGKILL and trained else {128 + number, -number}
            if finished:  # the signal came while it was leaving, or had left
                allowed |= {0, -number}
            bath.expect(code in allowed, "a signal's exit code is 128 and its number", self)
        if trained:
            bath.expect(first == before + 1, "a resumed run goes on with the epoch after its checkpoint's", self)
        bath.expect(rows == [*range(1, len(rows) + 1)], "progress.csv has every epoch once", self)
        if code >= 0 and trained:  # then it has cleared away what a kill before it had left
            left = [path for path in self.folder.rglob(".*") if path.name != ".lock"]
            bath.expect(not left, "no temporary files but where it was killed", self)
        if self.checkpoint.exists():
            self._check_checkpoint(before, rows, code)
        elif trained:
            bath.expect(code < 0 and len(rows) <= self.save_every, "there is a checkpoint", self)

    def _check_checkpoint(self, before: int, rows: list[int], code: int) -> None:
        from omni.myriad.learn import checkpoint

        bath = self.bath
        try:
            state = checkpoint.load(self.checkpoint)
        except MyriadError:
            bath.expect(False, "the last checkpoint loads", self)
            return
        bath.expect(True, "the last checkpoint loads", self)
        self.epoch = state["epoch"]
        # The epoch at hand may have been written down, and not yet saved.
        saved = (rows[-1] - 1) // self.save_every * self.save_every if rows else 0
        if self.first_epoch() is not None:
            bath.expect(self.epoch >= max(before, saved), "no epoch older than the last save is lost", self)
            if code > 0:
                bath.expect(self.epoch == rows[-1], "a run that was asked to stop loses no epoch", self)
        older = sorted(self.checkpoint.parent.glob("epoch_*.pth"))
        for kept in random.Random(self.start).sample(older, min(2, len(older))):
            epoch = checkpoint.load(kept)["epoch"]
            bath.expect(epoch == int(kept.stem[len("epoch_") :]), "a numbered checkpoint holds its epoch", self)
        self._corrupt(self.checkpoint.read_bytes(), state)

    def _corrupt(self, data: bytes, state: dict[str, Any]) -> None:
        """Check that copies that rotted are refused, but where what is damaged holds nothing."""
        from omni.myriad.learn import checkpoint

        rng, file = random.Random(f"{self.folder.name}/{self.start}"), self._log.with_suffix(".rotten.pth")
        for how in ("bit flips", "bit flips", "bit flips", "truncations", "zeroed blocks"):
            rotten, place = bytearray(data), rng.randrange(len(data))
            if how == "bit flips":
                rotten[place] ^= 1 << rng.randrange(8)
            elif how == "truncations":
                del rotten[place:]
            else:
                rotten[place : place + 512] = bytes(len(rotten[place : place + 512]))
            file.write_bytes(rotten)
            try:
                outcome = "same contents" if _equal(checkpoint.load(file), state) else "other contents"
            except MyriadError:
                outcome = "refused"
            except Exception as error:
                outcome = type(error).__name__
            self.bath.count(f"{how}: {outcome}")
            good = outcome in ("refused", "same contents")
            self.bath.expect(good, "what rotted is refused in one line, or holds what it held", self)
        file.unlink()


def _equal(a: Any, b: Any) -> bool:
    import torch

    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()
    return a == b or (a != a and b != b)
