# SPDX-License-Identifier: Apache-2.0
"""The judge's table of each shipped policy: its trainer, PhysX alone, MuJoCo and Newton; and the page of all."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omni.myriad.errors import MyriadError
from omni.myriad.files import write_json, write_text
from omni.myriad.places import COMMAND, ROOT, child_environment, data_folder

PAGE = ROOT / "docs/policies.md"
_MARK = "<!-- below: written by ./myriad publish judge=... -->"
_ENGINES = "mujoco,newton"


def published() -> dict[str, Path]:
    """Return the folders of `policies/` by task."""
    return {file.parent.name: file.parent for file in sorted(data_folder("policies").glob("*/policy.onnx"))}


def judge_all(tasks: Sequence[str], episodes: int) -> None:
    """Judge shipped policies, and write the page that shows all of them.

    Args:
        tasks: Which; "all" for every one, "none" to write the page alone.
        episodes: In each place.

    Raises:
        MyriadError: If a task has no policy.
    """
    known = published()
    wanted = list(known) if tasks == ("all",) else [] if tasks == ("none",) else list(tasks)
    for task in wanted:
        if task not in known:
            raise MyriadError(f"judge={task}: no policy of it ships; what does: {', '.join(known) or 'none'}.")
    for task in wanted:
        _judge(known[task], episodes)
    if PAGE.is_file():
        write_text(PAGE, page(PAGE.read_text()))
        print(f"Written: {PAGE}")


def _judge(folder: Path, episodes: int) -> None:
    """Deploy a policy in a process of its own, and keep its table as judged.json; or why there is none."""
    arguments = ["deploy", f"policies/{folder.name}/policy.onnx", f"engine={_ENGINES}", f"episodes={episodes}"]
    command = shlex.join([COMMAND, *arguments, "video=False"])
    print(f"$ {command}", flush=True)
    arguments[1] = str(folder / "policy.onnx")
    started, about = time.time(), {"command": command, "date": time.strftime("%Y-%m-%d")}
    done = subprocess.run(
        [sys.executable, "-m", "omni.myriad", *arguments, "video=False"],
        env=child_environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    report = folder / "policy.deploy" / "deploy.json"
    if done.returncode == 0 and report.is_file() and report.stat().st_mtime >= started - 1.0:
        found = json.loads(report.read_text())
        kept = {name: found[name] for name in ("seed", "versions", "git", "notes")}
        about |= kept | {
            "rows": [{k: v for k, v in row.items() if k not in ("rewards", "said")} for row in found["rows"]]
        }
        shutil.rmtree(report.parent)
    else:
        lines = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
        if done.returncode != 2 or not lines:
            raise MyriadError(f"{command} ended with exit code {done.returncode}: {done.stderr.strip()[-300:]}")
        about["refused"] = lines[-1].removeprefix("Error: ")
        print(about["refused"])
    write_json(folder / "judged.json", about)


# -- the page ---------------------------------------------------------------------------------------------------------


def page(text: str) -> str:
    """Return the text of the page with everything behind its mark written again from `policies/`."""
    head, mark, _ = text.partition(_MARK)
    if not mark:
        raise MyriadError(f"{PAGE} has no line {_MARK}, behind which policies are written.")
    parts = [_overview(), *(_section(task, folder) for task, folder in published().items())]
    return "\n\n".join([head.rstrip(), mark, *parts]) + "\n"


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.is_file() else {}


def _overview() -> str:
    lines = [
        "| task | reward played | goal | reached after | training | frames | machine | date |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task, folder in published().items():
        about = _read(folder / "summary.json")
        median, goal = about["median"], about["goal"]
        seconds = median["seconds_to_goal"]
        reached = "" if goal is None else "not reached" if seconds is None else f"{seconds:.1f} s"
        cells = [f"[{task}](#{task.lower()})", f"{median['reward_mean']:,.1f}", "" if goal is None else f"{goal:,g}"]
        cells += [reached, f"{median['train_seconds']:.0f} s", f"{median['frames'] / 1e6:.2f} M"]
        cells += [_machine(about["machine"]), about["date"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _machine(machine: Mapping[str, Any]) -> str:
    return machine.get("gpu") or f"{machine['cores']} cores, {machine['cpu']}"


def _section(task: str, folder: Path) -> str:
    about, judged = _read(folder / "summary.json"), _read(folder / "judged.json")
    seeds = about["seeds"]
    own = [name for name in seeds[0] if name in about["median"] and name not in _COMMON]
    table = [["seed", "reward", "± of episodes", "steps", *own, "goal after", "training"], ["---"] * (6 + len(own))]
    for seed in seeds:
        seconds = seed["seconds_to_goal"]
        numbers = [f"{seed['reward_mean']:,.1f}", f"{seed['reward_std']:,.1f}", f"{seed['episode_length_mean']:,.0f}"]
        numbers += [f"{seed[name]:.3g}" for name in own]
        numbers += ["" if seconds is None else f"{seconds:.1f} s", f"{seed['train_seconds']:.0f} s"]
        table.append([str(seed["seed"]), *numbers])
    lines = [
        f"## {task}",
        "",
        f"`{about['command']}`, {seeds[0]['episodes']:,} episodes of each; {about['date']}, "
        f"{_machine(about['machine'])}, {seeds[0]['engine']}. In the folder: {about['policy']}; "
        f"[summary](../policies/{task}/summary.json), [film](../policies/{task}/film.mp4).",
        "",
        *(f"| {' | '.join(row)} |" for row in table),
        "",
        f"![{task}: mean episode reward over frames and seconds](../policies/{task}/curve.png)",
        "",
        *_judgement(judged),
    ]
    return "\n".join(lines)


_COMMON = (
    "reward_mean", "reward_std", "episode_length_mean", "episodes", "train_seconds", "frames", "num_envs",
    "reward_mean_while_training", "seconds_to_goal",
)  # fmt: skip


def _judgement(judged: Mapping[str, Any]) -> list[str]:
    if not judged:
        return ["Not judged outside its trainer yet."]
    if "refused" in judged:
        return [f"Not judged outside its trainer: {judged['refused']}"]
    lines = [
        f"`{judged['command']}`, {judged['date']}:",
        "",
        "| | reward | difference | steps (fewest) | engine |",
        "|---|---|---|---|---|",
    ]
    for row in judged["rows"]:
        difference, error = row["reward_difference"], row["reward_difference_error"]
        against = "" if row is judged["rows"][0] or difference is None else f"{difference:+.1%} ± {error or 0.0:.1%}"
        steps = f"{row['length_mean']:,.0f} ({row['length_min']:,.0f})"
        lines.append(f"| {row['where']} | {row['reward_mean']:,.1f} | {against} | {steps} | {row['engine']} |")
    return [*lines, *(["", *judged["notes"]] if judged["notes"] else [])]
