# SPDX-License-Identifier: Apache-2.0
"""Try tasks and policies in PhysX and in Newton, on a CPU, and write what came out into docs/newton.md.

    ./myriad python docs/newton/tasks.py                        # random actions in every task, two epochs of training
    ./myriad python docs/newton/tasks.py Ant AllegroHand        # in some
    ./myriad python docs/newton/tasks.py Ant=runs/ant/checkpoints/last.pth,AntFastPPO,mine   # plays a policy in both
    ./myriad python docs/newton/tasks.py page                   # the page alone

Numbers are kept in tasks.json beside this file: rows that are not asked for stay as they are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from omni.myriad.errors import MyriadError
from omni.myriad.files import write_json, write_text

ENGINES = ("physx", "newton")
NUM_ENVS, STEPS, EPISODES = 16, 100, 32
RESULTS = Path(__file__).with_name("tasks.json")
PAGE = RESULTS.parents[1] / "newton.md"


def step(name: str) -> dict[str, Any]:
    """Take steps with the same random actions in both engines, then train on Newton for two epochs."""
    import torch

    from omni.myriad.app.config import load_config
    from omni.myriad.app.runs import make_env, train

    found: dict[str, Any] = {}
    command = [f"task={name}", "sim_device=cpu", f"num_envs={NUM_ENVS}", "seed=42"]
    for engine in ENGINES:
        drawn = torch.Generator().manual_seed(42)
        with closing(make_env(load_config([*command, f"engine={engine}"]))) as env:
            env.reset()
            rewards, ended, finite = [], 0, True
            for _ in range(STEPS):
                actions = 2.0 * torch.rand(NUM_ENVS, env.num_actions, generator=drawn) - 1.0
                observed, reward, done, _ = env.step(actions)
                seen = observed["obs"]
                parts = seen.values() if isinstance(seen, dict) else (seen,)
                finite &= bool(reward.isfinite().all()) and all(bool(part.isfinite().all()) for part in parts)
                rewards.append(float(reward.nanmean()))
                ended += int(done.sum())
        found[engine] = {"reward": sum(rewards) / STEPS, "ended": ended, "finite": finite}
    with tempfile.TemporaryDirectory() as folder:
        try:
            config = load_config([*command, "engine=newton", "max_iterations=2", f"train_dir={folder}"])
            found["trained"] = train(config)["epochs"] == 2
        except MyriadError as error:
            found["trained"] = str(error)
    return found


def play(name: str, checkpoint: str, settings: str) -> dict[str, Any]:
    """Play a policy without exploration in both engines."""
    from omni.myriad.app.config import load_config
    from omni.myriad.app.runs import play

    command = [f"task={name}", "sim_device=cpu", f"num_envs={EPISODES}", f"episodes={EPISODES}", "seed=42"]
    command += [f"checkpoint={checkpoint}", *([f"train={settings}"] if settings else [])]
    found = {engine: play(load_config([*command, f"engine={engine}"])) for engine in ENGINES}
    names = "episodes", "reward_mean", "reward_std", "episode_length_mean"
    return {engine: {name: result[name] for name in names} for engine, result in found.items()}


def in_a_process(*arguments: str) -> dict[str, Any]:
    """Call a function of this file in a process of its own; what it returns, or its last line, is what came out."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        command = [sys.executable, __file__, "one", *arguments, str(file)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if file.exists():
            return json.loads(file.read_text())
        return {"failed": done.stdout.strip().rsplit("\n", 1)[-1].removeprefix("omni.myriad.errors.MyriadError: ")}


def tables(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return the tables of the page by the name of their marks."""
    rows = ["| task | reward a step in PhysX, in Newton | episodes that ended | all numbers finite | trains |"]
    rows.append("|---|---|---|---|---|")
    for name, of in sorted(found["steps"].items()):
        if "failed" in of:
            rows.append(f"| `{name}` | | | | {of['failed']} |")
            continue
        physx, newton = (of[engine] for engine in ENGINES)
        rewards, ended = f"{physx['reward']:.3g}, {newton['reward']:.3g}", f"{physx['ended']}, {newton['ended']}"
        trains = "two epochs" if of["trained"] is True else of["trained"]
        rows.append(f"| `{name}` | {rewards} | {ended} | {'yes' if newton['finite'] else 'no'} | {trains} |")
    played = ["| task | in PhysX: reward, steps | in Newton: reward, steps |", "|---|---|---|"]
    for name, of in sorted(found["policies"].items()):
        each = [of[engine] for engine in ENGINES]
        cells = [f"{e['reward_mean']:,.1f} ± {e['reward_std']:,.1f}, {e['episode_length_mean']:,.0f}" for e in each]
        played.append(f"| `{name}`{of['about'] and ', ' + of['about']} | {cells[0]} | {cells[1]} |")
    return {"tasks": "\n".join(rows) + "\n", "policies": "\n".join(played) + "\n"}


def written(page: str, found: dict[str, dict[str, Any]]) -> str:
    """Return the page with its tables renewed."""
    for name, table in tables(found).items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, _, rest = page.partition(begin)
        page = before + begin + table + end + rest.partition(end)[2]
    return page


def main(arguments: list[str]) -> None:
    """Do what was asked for, and write numbers and page after each task."""
    from omni.myriad.task.loader import all_tasks

    if arguments[:1] == ["one"]:
        *what, file = arguments[1:]
        write_json(file, step(*what) if len(what) == 1 else play(*what))
        return
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"steps": {}, "policies": {}}
    for argument in [] if arguments == ["page"] else arguments or all_tasks():
        print(argument, flush=True)
        name, _, policy = argument.partition("=")
        if policy:
            checkpoint, settings, about = [*policy.split(",", 2), "", ""][:3]
            found["policies"][name] = in_a_process(name, checkpoint, settings) | {"about": about}
        else:
            found["steps"][name] = in_a_process(name) | {"date": time.strftime("%Y-%m-%d")}
        write_json(RESULTS, found)
    write_text(PAGE, written(PAGE.read_text(), found))


if __name__ == "__main__":
    main(sys.argv[1:])
