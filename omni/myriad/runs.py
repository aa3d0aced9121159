# SPDX-License-Identifier: Apache-2.0
"""A run from its configuration to its folder: start the environment, train, play or export, leave everything behind."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from omni.myriad.errors import MyriadError
from omni.myriad.policy import description, recording
from omni.myriad.vec_env import VecEnv

_PACKAGES = ("torch", "numpy", "rl-games", "gymnasium", "hydra-core", "ovphysx", "usd-core")


def train(config: dict[str, Any]) -> dict[str, Any]:
    """Train as configured and return the summary, which the run's folder also holds.

    Args:
        config: The resolved configuration of `config.load_config`.

    Raises:
        MyriadError: If the run's folder is taken, or anything the run needs is wrong.
        KeyboardInterrupt: On Ctrl-C, after the last checkpoint was written; its message says where.
    """
    from omni.myriad.ppo import checkpoint, runner

    if config["checkpoint"]:
        config["checkpoint"] = str(find_checkpoint(config["checkpoint"], "last"))
        checkpoint.load(config["checkpoint"])  # an unreadable file is said before physics starts
    run_dir = _new_run_dir(config)
    _announce(config, run_dir)
    env = make_env(config)
    try:
        _write_provenance(config, env, run_dir)
        summary = runner.train(config, env, run_dir)
        if _is_first_rank() and summary["checkpoint"]:
            _record(config, env, Path(summary["checkpoint"]), run_dir)
    finally:
        env.close()
    if _is_first_rank():
        _print_result(summary, run_dir)
    return summary


def play(config: dict[str, Any]) -> dict[str, Any]:
    """Play a checkpoint, print reward and length of its episodes and write them beside it as `play.json`.

    Args:
        config: The resolved configuration; without `checkpoint` the task's last run is played.

    Raises:
        MyriadError: If there is no checkpoint, or it belongs to another task.
    """
    from omni.myriad.ppo import checkpoint, runner

    path = find_checkpoint(config["checkpoint"] or _last_run(config), "best")
    checkpoint.load(path)  # an unreadable file is said before physics starts
    config["test"] = True
    env = make_env(config)
    try:
        result = runner.play(config, env, path, config["episodes"])
    finally:
        env.close()
    target = path.parent.parent / "play.json" if path.parent.name == "checkpoints" else path.with_suffix(".play.json")
    target.write_text(json.dumps(result, indent=2) + "\n")
    _print_table(result, target)
    return result


def export(config: dict[str, Any]) -> dict[str, Any]:
    """Export a checkpoint as one ONNX file, proven against rl-games' player, and return its metadata.

    What the run's folder holds suffices. If it holds no task.json or observations.npz, or those of other settings than
    the checkpoint's, the task is run for a moment to make them.

    Args:
        config: The resolved configuration: `task`, `checkpoint` (else the task's last run), `output` (else
            `exported/policy.onnx` in the run's folder) and `opset`. The policy's own settings are the checkpoint's.

    Raises:
        MyriadError: If there is no checkpoint, it belongs to another task, or the exported policy acts differently.
    """
    from omni.myriad.policy.export import export_policy
    from omni.myriad.ppo import checkpoint

    path = find_checkpoint(config["checkpoint"] or _last_run(config), "best")
    state = checkpoint.load(path)
    trained = state["myriad"]["task"]
    if trained != config["task_name"]:
        raise MyriadError(
            f"checkpoint {path} was trained for task {trained}, not {config['task_name']}: give task={trained}."
        )
    run_dir = path.parent.parent if path.parent.name == "checkpoints" else None
    output = Path(config["output"] or (run_dir or path.parent) / "exported" / "policy.onnx").expanduser().absolute()
    described = description.read_description(run_dir) if run_dir else None
    file = run_dir / recording.FILE_NAME if run_dir else None
    settings = state["myriad"]["config"]["task"]
    if described and file and file.is_file() and described["settings_sha256"] == description.settings_hash(settings):
        recorded = recording.load_recording(file)
    else:
        described, recorded = _describe_again(state["myriad"]["config"], config, path, run_dir)
    meta = export_policy(state, path, described, recorded, output, config["opset"])
    parity = meta["parity"]
    print(
        f"Exported {trained} to {output}\n"
        f"Parity with {parity['against']}: maximum error {parity['max_error']:.3g} "
        f"over {parity['steps']:,} steps and {parity['episodes']:,} starts of episodes"
    )
    return meta


def _describe_again(
    trained: dict[str, Any], asked: dict[str, Any], path: Path, run_dir: Path | None
) -> tuple[dict[str, Any], recording.Recording]:
    """Run the task of a checkpoint for a moment, as it was trained, to describe it and record observations."""
    config = copy.deepcopy(trained)
    config |= {"sim_device": asked["sim_device"], "multi_gpu": False, "test": True, "checkpoint": str(path)}
    config["task"]["env"]["numEnvs"] = recording.MAX_ENVS
    config["task"]["task_path"] = asked["task"]["task_path"] or config["task"]["task_path"]
    print(f"{config['task_name']}: the run holds no description and observations that fit, so the task is run a moment")
    env = make_env(config)
    try:
        described = description.describe_task(env)
        with tempfile.TemporaryDirectory() as scratch:
            recorded = _record(config, env, path, run_dir or Path(scratch))
    finally:
        env.close()
    if run_dir:
        description.write_description(described, run_dir)
    return described, recorded


def make_env(config: dict[str, Any]) -> VecEnv:
    """Start the engine, load the task and build its scene.

    Args:
        config: The resolved configuration; `seed` is replaced by the one drawn if it is -1.

    Returns:
        The environment, ready to be reset.
    """
    from omni.myriad.engine import SimConfig, make_engine
    from omni.myriad.task_loader import load_task_class
    from omni.myriad.torch_utils import set_seed

    rank = int(os.environ.get("RANK", "0")) if config["multi_gpu"] else 0
    config["seed"] = set_seed(config["seed"], config["torch_deterministic"])
    config["train"]["params"]["seed"] = config["seed"]
    if rank:
        set_seed(config["seed"] + rank, config["torch_deterministic"])
    sim_config = SimConfig(config)
    engine = make_engine(sim_config)
    try:
        name = config["task"]["name"]
        task_class = load_task_class(name, [Path(folder) for folder in config["task"]["task_path"]])
        env = VecEnv(engine, sim_config)
        # The three arguments of OmniIsaacGymEnvs' tasks, which have a constructor of their own.
        env.set_task(task_class(name=name, sim_config=sim_config, env=env))
    except BaseException:
        engine.close()
        raise
    return env


# -- run folders ------------------------------------------------------------------------------------------------------


def find_checkpoint(name: str, kind: str) -> Path:
    """Return the checkpoint file that a name means.

    Args:
        name: A file, a run's folder, or the name of a folder below `runs/`.
        kind: Which of a run's checkpoints to take: "best" or "last"; the other one if it is missing.

    Raises:
        MyriadError: If there is none.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path.absolute()
    for folder in (path, Path("runs") / name):
        candidates = [folder / "checkpoints" / f"{k}.pth" for k in (kind, "last", "best")]
        found = next((file for file in candidates if file.is_file()), None)
        if found is not None:
            return found.absolute()
        if folder.is_dir():
            raise MyriadError(f"{folder} holds no checkpoint: expected {candidates[0]}.")
    raise MyriadError(f"checkpoint={name} does not exist: give a .pth file or the name of a run below runs/.")


def _last_run(config: dict[str, Any]) -> str:
    task, folder = config["task_name"], Path(config["train_dir"])
    runs = []
    for summary in folder.glob("*/run.json"):
        if json.loads(summary.read_text()).get("task") == task and list(summary.parent.glob("checkpoints/*.pth")):
            runs.append((summary.stat().st_mtime, summary.parent))
    if not runs:
        raise MyriadError(f"No run of {task} below {folder}/: train one (./myriad train task={task}) or give checkpoint=FILE.")
    return str(max(runs)[1])


def _new_run_dir(config: dict[str, Any]) -> Path:
    base = Path(config["train_dir"])
    if config["experiment"]:
        run_dir = base / str(config["experiment"])
        if (run_dir / "checkpoints").exists() and Path(config["checkpoint"] or "/").parent != (run_dir / "checkpoints").absolute():
            raise MyriadError(
                f"{run_dir} already holds a run: choose another experiment=NAME, or go on with checkpoint={run_dir}."
            )
    else:
        name = f"{config['task_name']}_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
        run_dir = base / name
        number = 2
        while run_dir.exists() and _is_first_rank():
            run_dir = base / f"{name}_{number}"
            number += 1
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MyriadError(f"{run_dir} cannot be created: {error.strerror}.") from None
    return run_dir


def _write_provenance(config: dict[str, Any], env: VecEnv, run_dir: Path) -> None:
    """Write what is needed to repeat the run: configuration, versions, git state."""
    if not _is_first_rank():
        return
    from omegaconf import OmegaConf

    (run_dir / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    run = {
        "task": config["task_name"],
        "engine": env.engine.version,
        "device": str(env.device),
        "versions": versions(),
        "git": git_state(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    (run_dir / "run.json").write_text(json.dumps(run, indent=2) + "\n")
    description.write_description(description.describe_task(env), run_dir)


def _record(config: dict[str, Any], env: VecEnv, path: Path, run_dir: Path) -> recording.Recording:
    """Step a trained policy, and keep the observations with which its export will be proven."""
    from omni.myriad.ppo import checkpoint, runner

    recorded = recording.record(env, runner.make_player(config, env, checkpoint.load(path), path))
    recorded.save(run_dir / recording.FILE_NAME)
    return recorded


def versions() -> dict[str, str]:
    """Return the versions of Myriad and of what decides its results."""
    import platform

    from omni.myriad import __version__

    found = {"myriad": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state() -> dict[str, Any] | None:
    """Return commit and cleanliness of Myriad's checkout, or None outside one."""
    root = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "clean": git("status", "--porcelain") == ""}
    except (OSError, subprocess.SubprocessError):
        return None


# -- what people read -------------------------------------------------------------------------------------------------


def _is_first_rank() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


def _announce(config: dict[str, Any], run_dir: Path) -> None:
    if not _is_first_rank():
        return
    why = ""
    if config["num_envs"] == "":
        why = " (fit for its cores; num_envs=... sets another)" if config["sim_device"] == "cpu" else " (the task's number)"
    print(f"{config['task_name']}: {config['task']['env']['numEnvs']} environments on {config['sim_device']}{why}, seed {config['seed']}")
    print(f"Run folder: {run_dir}", flush=True)


def _print_result(summary: dict[str, Any], run_dir: Path) -> None:
    reward = summary["reward_mean"]
    print(
        f"Trained {summary['task']} for {summary['frames']:,} frames in {summary['train_seconds']:.0f} s: "
        f"mean episode reward {'none yet' if reward is None else f'{reward:.1f}'}."
    )
    print(f"Curve: {run_dir / 'curve.png'}\nPlay:  ./myriad play task={summary['task']} checkpoint={summary['checkpoint']}")


def _print_table(result: dict[str, Any], target: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result['task']}: {result['episodes']} episodes of {result['checkpoint']}", title_justify="left")
    for column in ("", "mean", "std", "min", "max"):
        table.add_column(column, justify="left" if not column else "right")
    for row, name in (("reward", "reward"), ("length in steps", "episode_length")):
        numbers = [result.get(f"{name}_{statistic}") for statistic in ("mean", "std", "min", "max")]
        table.add_row(row, *("" if number is None else f"{number:,.2f}" for number in numbers))
    Console().print(table)
    print(f"Written to {target}")
