# SPDX-License-Identifier: Apache-2.0
"""The results file: what it holds, how measurements go in, and how files of several commands become one.

task, machine, versions   what was measured on what; the same in all commands put together
commands                  command line, date and commit of each
by_num_envs               "4096": bare_loop_env_steps_per_second, env_steps_per_second, train_frames_per_second
                          and startup_seconds (medians), and in `bare_loop`, `env`, `train`, `startup`, `camera` and
                          `peers` all values, spreads and phases
by_gpus                   "4": as by_num_envs, trained on so many GPUs with so many environments on each
over_seeds                seeds, num_envs; seconds_to_3000 and the like, one number per seed in their order, null
                          where it was not reached; their medians; `runs` with the learning curves
peers, absent             what is not measured by num_envs; who is not installed
left_out, failures        what did not fit; what broke
"""

from __future__ import annotations

import copy
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omni.myriad.benchmark.timing import summary
from omni.myriad.errors import MyriadError
from omni.myriad.files import write_text

Results = dict[str, Any]

SCHEMA = 1
HEADLINES = {
    "bare_loop": "bare_loop_env_steps_per_second",
    "env": "env_steps_per_second",
    "train": "train_frames_per_second",
    "startup": "startup_seconds",
    "camera": "camera_pictures_per_second",
}


def new(task: str, versions: dict[str, str], command: dict[str, Any]) -> Results:
    """Return results without measurements."""
    about = {"schema": SCHEMA, "task": task, "machine": None, "versions": versions, "commands": [command]}
    empty = {
        "by_num_envs": {},
        "by_gpus": {},
        "over_seeds": {},
        "peers": {},
        "absent": {},
        "left_out": [],
        "failures": {},
    }
    return about | empty


def add(results: Results, measure: str, found: dict[str, Any]) -> None:
    """Put one of our measurements where it belongs, its median beside it."""
    entry = _entry(results, found)
    entry[HEADLINES[measure]] = found["median"]
    entry[measure] = found


def add_by_gpus(results: Results, gpus: int, found: dict[str, Any]) -> None:
    """Put in a training on several GPUs, or on one to compare with."""
    _take_machine(results, found)
    entry = results["by_gpus"].setdefault(str(gpus), {}).setdefault(str(found.pop("num_envs")), {})
    entry |= {HEADLINES["train"]: found["median"], "train": found}


def add_startup(results: Results, starts: Sequence[dict[str, Any]]) -> None:
    """Put in the start-ups measured with one number of environments; the first may have found caches cold."""
    total = summary([start["seconds"] for start in starts])
    phases = {name: statistics.median(start["phases"][name] for start in starts) for name in starts[0]["phases"]}
    about = {name: starts[-1][name] for name in ("memory", "machine", "num_envs")}
    add(results, "startup", {**total, "unit": "s", "phases": phases, **about})


def add_peer(results: Results, name: str, found: dict[str, Any], by_num_envs: bool) -> None:
    """Put in a peer's measurement, and the versions that it ran with."""
    results["versions"] |= found.pop("versions")
    if by_num_envs:
        place = _entry(results, found).setdefault("peers", {})
    else:
        _take_machine(results, found)
        place = results["peers"]
    place[name] = found


def add_seed(results: Results, run: dict[str, Any]) -> None:
    """Put in a run that was trained towards the wanted rewards, and count again over all seeds."""
    _take_machine(results, run)
    seeds = results["over_seeds"]
    runs = [old for old in seeds.get("runs", []) if old["seed"] != run["seed"] and old["num_envs"] == run["num_envs"]]
    runs = sorted([*runs, run], key=lambda each: each["seed"])
    seeds |= {"num_envs": run["num_envs"], "seeds": [each["seed"] for each in runs], "runs": runs}
    for name in dict.fromkeys(name for each in runs for name in each["reached"]):
        times = [each["reached"].get(name) for each in runs]
        middle = statistics.median(math.inf if time is None else time for time in times)
        seeds |= {name: times, f"median_{name}": middle if math.isfinite(middle) else None}


def _take_machine(results: Results, found: dict[str, Any]) -> None:
    machine = found.pop("machine", None)
    results["machine"] = results["machine"] or machine


def _entry(results: Results, found: dict[str, Any]) -> dict[str, Any]:
    _take_machine(results, found)
    return results["by_num_envs"].setdefault(str(found.pop("num_envs")), {})


def load(path: Path) -> Results:
    """Read a results file.

    Raises:
        MyriadError: If it is none.
    """
    try:
        results = json.loads(path.read_text().replace('"floor', '"bare_loop'))  # as it was called once
        if results["schema"] != SCHEMA:
            raise MyriadError(f"{path} has schema {results['schema']}, and this Myriad reads {SCHEMA}: measure again.")
        results.setdefault("by_gpus", {})  # which files had not from the start
    except (OSError, ValueError, KeyError, TypeError):
        raise MyriadError(f"{path} is not a results file of ./myriad benchmark.") from None
    return results


def merge(files: Sequence[Results]) -> Results:
    """Put results of several commands together; where two measured the same, the later one counts.

    Raises:
        MyriadError: If they are of different tasks or machines.
    """
    merged, *others = copy.deepcopy(list(files))
    for results in others:
        whose = {"tasks": (merged["task"], results["task"]), "machines": (_identity(merged), _identity(results))}
        for what, (mine, other) in whose.items():
            if mine != other and mine and other:
                raise MyriadError(f"Results of different {what} cannot be merged: {mine} and {other}.")
        merged["machine"] = merged["machine"] or results["machine"]
        for num_envs, entry in results["by_num_envs"].items():
            mine = merged["by_num_envs"].setdefault(num_envs, {})
            peers = {**mine.get("peers", {}), **entry.get("peers", {})}
            mine |= entry | ({"peers": peers} if peers else {})
        for gpus, entries in results["by_gpus"].items():
            merged["by_gpus"][gpus] = merged["by_gpus"].get(gpus, {}) | entries
        for run in results["over_seeds"].get("runs", []):
            add_seed(merged, run)
        for kind in ("versions", "peers", "absent", "failures"):
            merged[kind] |= results[kind]
        merged["commands"] += results["commands"]
        merged["left_out"] += [what for what in results["left_out"] if what not in merged["left_out"]]
    merged["by_num_envs"] = dict(sorted(merged["by_num_envs"].items(), key=lambda item: int(item[0])))
    _drop_what_was_done_after_all(merged)
    return merged


def _identity(results: Results) -> dict[str, Any]:
    machine = results["machine"] or {}
    return {key: machine.get(key) for key in ("cpu", "cores", "gpu")} if machine else {}


def _drop_what_was_done_after_all(results: Results) -> None:
    by_num_envs = {n: {**entry, **entry.get("peers", {})} for n, entry in results["by_num_envs"].items()}
    measured = {*results["peers"], *(name for entry in by_num_envs.values() for name in entry)}
    done = {f"{name} {n}" for n, entry in by_num_envs.items() for name in entry} | set(results["peers"])
    done |= {f"train {n} gpus={gpus}" for gpus, entries in results["by_gpus"].items() for n in entries}
    done |= {f"reward seed={seed}" for seed in results["over_seeds"].get("seeds", [])}
    results["left_out"] = [what for what in results["left_out"] if what not in done]
    results["failures"] = {what: why for what, why in results["failures"].items() if what not in done}
    results["absent"] = {peer: why for peer, why in results["absent"].items() if peer not in measured}


def save(results: Results, path: Path) -> None:
    """Write a results file, whole or not at all; innermost lists take one line each."""
    write_text(path, _to_text(results) + "\n")


def _to_text(value: Any, indent: str = "") -> str:
    """Return JSON that people can read and git can compare: a list of numbers is one line, not fifty."""
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        items = (f"{deeper}{json.dumps(str(key))}: {_to_text(item, deeper)}" for key, item in value.items())
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "[\n" + ",\n".join(deeper + _to_text(item, deeper) for item in value) + f"\n{indent}]"
    return json.dumps(value)
