# SPDX-License-Identifier: Apache-2.0
"""Run the measurements one after another, each in a process of its own, and leave results, tables and plots behind."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omni.myriad.benchmark import machine, report, results
from omni.myriad.benchmark.options import Options, parse
from omni.myriad.benchmark.peers import PEERS
from omni.myriad.errors import MyriadError
from omni.myriad.places import COMMAND, child_environment
from omni.myriad.provenance import git_revision, versions

_STARTS = 3
_LEAST_SECONDS = 5.0  # with less time left, nothing is started


@dataclass(frozen=True)
class Job:
    """One process: what it measures, with which settings, on how many GPUs; 0 where nobody asked for a number."""

    measure: str
    title: str
    settings: tuple[str, ...]
    gpus: int = 0


def run(config: dict[str, Any], ours: dict[str, str], settings: Sequence[str]) -> None:
    """Do what `./myriad benchmark` was asked for.

    Args:
        config: Resolved configuration of the settings.
        ours: The benchmark's own arguments, as text.
        settings: Settings for the runs that are measured, such as task=Ant.

    Raises:
        MyriadError: On an invalid argument, or if a measurement failed; the others are written all the same.
    """
    options = parse(ours)
    folder = Path(options.output or f"runs/benchmarks/{config['task']['name']}_{time.strftime('%Y-%m-%d_%H-%M-%S')}")
    folder = folder.expanduser()
    if options.render:
        report.render(Path(options.render))
        print(f"Written to {options.render}")
        return
    if options.merge:
        found = results.merge([results.load(Path(file)) for file in options.merge])
    else:
        command = shlex.join([COMMAND, "benchmark", *settings, *(f"{name}={value}" for name, value in ours.items())])
        found = measure(config, options, settings, command, folder / "logs")
    task, device = found["task"].lower(), machine.slug(found["machine"] or {})
    name = options.name or f"{task}-{device}"
    file = folder / f"{name}.json"
    if file.exists():
        found = results.merge([results.load(file), found])
    results.save(found, file)
    report.show(found)
    for picture in report.draw([found], file):
        print(f"Plot:    {picture}")
    print(f"Results: {file}")
    if found["failures"]:
        raise MyriadError("; ".join(f"{what} failed: {why}" for what, why in found["failures"].items()))


def measure(
    config: dict[str, Any], options: Options, settings: Sequence[str], command: str, logs: Path
) -> results.Results:
    """Run every measurement asked for, and return the results.

    Args:
        config: Resolved configuration of the settings.
        options: What to measure.
        settings: Settings for the runs that are measured.
        command: The whole command line, for the record.
        logs: Folder for what the processes print.
    """
    about = {"command": command, "date": time.strftime("%Y-%m-%d %H:%M %z"), "git": git_revision()}
    found = results.new(config["task"]["name"], versions(), about)
    if "peers" in options.measure:
        found["absent"] = {name: why for name in options.peers if (why := PEERS[name].absence(found["task"]))}
    deadline = time.monotonic() + 60.0 * options.minutes
    logs.mkdir(parents=True, exist_ok=True)
    starts: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="myriad_benchmark_") as scratch:
        for job in jobs(options, settings, set(found["absent"])):
            if deadline - time.monotonic() < _LEAST_SECONDS:
                found["left_out"] = sorted({*found["left_out"], job.title})
                print(f"{job.title}: left out, the {options.minutes:g} minutes are over", flush=True)
                continue
            begun = time.monotonic()
            result = _run(job, options, Path(scratch), logs, deadline)
            said = f"failed: {result['error']}" if "error" in result else report.in_a_line(result)
            print(f"{job.title}: {said} ({time.monotonic() - begun:.0f} s)", flush=True)
            if "error" in result:
                found["failures"][job.title] = result["error"]
            elif job.measure == "startup":
                starts[result["num_envs"]].append(result)
                results.add_startup(found, starts[result["num_envs"]])
            elif job.gpus:
                results.add_by_gpus(found, job.gpus, result)
            elif job.measure == "reward":
                results.add_seed(found, result)
            elif job.measure in PEERS:
                results.add_peer(found, job.measure, result, PEERS[job.measure].by_num_envs)
            else:
                results.add(found, job.measure, result)
    return found


def jobs(options: Options, settings: Sequence[str], absent: set[str]) -> Iterator[Job]:
    """Yield the processes to run: what is compared runs back to back, what takes longest comes last."""
    by_num_envs = [(f" {n}", (*settings, f"num_envs={n}")) for n in options.num_envs] or [("", tuple(settings))]
    for title, these in by_num_envs:
        for name in (name for name in results.HEADLINES if name in options.measure):
            times = min(options.repeats, _STARTS) if name == "startup" else 1
            if name == "train" and options.gpus:
                yield from (Job(name, f"{name}{title} gpus={gpus}", these, gpus) for gpus in options.gpus)
            else:
                yield from [Job(name, name + title, these)] * times
    for name in (name for name in options.peers if "peers" in options.measure and name not in absent):
        for title, these in by_num_envs if PEERS[name].by_num_envs else [("", by_num_envs[0][1])]:
            yield Job(name, name + title, these)
    for seed in options.seeds if "reward" in options.measure else ():
        yield Job("reward", f"reward seed={seed}", (*by_num_envs[0][1], f"seed={seed}"))


def _run(job: Job, options: Options, scratch: Path, logs: Path, deadline: float) -> dict[str, Any]:
    """Run one job to its end or the deadline, and return its result or {"error": what went wrong}."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    file, log = folder / "result.json", logs / f"{job.title.replace(' ', '_')}.log"
    about = {**dataclasses.asdict(job), "options": dataclasses.asdict(options), "result": str(file)}
    (folder / "job.json").write_text(json.dumps(about | {"started": time.time()}))
    with open(log, "w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "omni.myriad.benchmark.child", str(folder / "job.json")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=child_environment(),
            start_new_session=True,
        )
        try:
            process.wait(max(deadline - time.monotonic(), _LEAST_SECONDS))
        except subprocess.TimeoutExpired:
            return {"error": f"it was not done within the {options.minutes:g} minutes"}
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with those that it started itself
                process.wait()
    if process.returncode == 0 and file.exists():
        return json.loads(file.read_text())
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.startswith("Error:")), lines[-1] if lines else "nothing")
    return {"error": f"{said.removeprefix('Error: ')} (exit code {process.returncode}, see {log})"}
