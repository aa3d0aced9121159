# SPDX-License-Identifier: Apache-2.0
"""Turn the command line into a checked configuration.

Hydra composes `cfg/`; every mistake ends in one line that names it and what would be right.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from omni.myriad.errors import MyriadError
from omni.myriad.places import data_folder
from omni.myriad.task.loader import TASKS_PATH, task_files

CFG_PATH = data_folder("cfg")

_GROUPS = ("task", "train", "engine")

_ENVS_PER_CORE = 128
"""Environments a CPU core steps well: more lengthen an epoch without making a frame cheaper."""

# OmniIsaacGymEnvs' resolvers, so that its YAML files compose.
OmegaConf.register_new_resolver(
    "resolve_default", lambda default, value: default if value == "" else value, replace=True
)
OmegaConf.register_new_resolver("eq", lambda x, y: str(x).lower() == str(y).lower(), replace=True)
OmegaConf.register_new_resolver("contains", lambda x, y: str(x).lower() in str(y).lower(), replace=True)
OmegaConf.register_new_resolver("if", lambda condition, a, b: a if condition else b, replace=True)


def load_config(overrides: Sequence[str]) -> dict[str, Any]:
    """Compose, check and resolve a run's configuration.

    Args:
        overrides: Command line such as ["task=Ant", "num_envs=512", "train.params.config.gamma=0.98"].

    Returns:
        The configuration as plain dictionaries, with `sim_device` and `num_envs` decided.

    Raises:
        MyriadError: On an unknown task or key, or a value that cannot be.
    """
    parsed = _parse(overrides)
    folders = _task_folders(parsed)
    groups = _choose_groups(parsed, folders)
    others = [text for text, override in zip(overrides, parsed, strict=True) if override.key_or_group not in _GROUPS]
    roots = [f"file://{folder / 'cfg'}" for folder in folders if (folder / "cfg").is_dir()]
    search = [f"hydra.searchpath=[{','.join(roots)}]"] if roots else []

    base = _compose([*search, *groups])
    for override in parsed:
        if override.key_or_group not in _GROUPS:
            _check_key(override, base)
    config = _compose([*search, *groups, *others])
    config.task.task_path = [str(folder) for folder in folders]
    try:
        _decide(config, {override.key_or_group for override in parsed})
        resolved = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise MyriadError(f"The configuration does not resolve: {_first_line(error)}") from None
    assert isinstance(resolved, dict)
    return resolved  # type: ignore[return-value]


def _parse(overrides: Sequence[str]) -> list[Override]:
    parsed = []
    for text in overrides:
        if text.startswith("-"):
            raise MyriadError(
                f"{text} is not understood; settings are written key=value, such as task=Ant num_envs=512."
            )
        try:
            parsed += OverridesParser.create().parse_overrides([text])
        except HydraException:
            raise MyriadError(
                f"{text!r} is not understood; settings are written key=value, such as num_envs=512."
            ) from None
    return parsed


def _task_folders(parsed: list[Override]) -> list[Path]:
    """Return the folders of the override `task.task_path`, which say where else task files and YAML are found."""
    folders: list[Path] = []
    for override in parsed:
        if override.key_or_group == "task.task_path":
            value = override.value()
            folders = [
                Path(str(item)).expanduser().resolve() for item in (value if isinstance(value, list) else [value])
            ]
    for folder in folders:
        if not folder.is_dir():
            raise MyriadError(f"task.task_path={folder} is no folder.")
    return folders


def _choose_groups(parsed: list[Override], folders: list[Path]) -> list[str]:
    """Return the group overrides, with defaults in the place of YAML files that a task does without."""
    chosen = {o.key_or_group: str(o.value()) for o in parsed if o.key_or_group in _GROUPS}
    result = []
    task = chosen.get("task", "Cartpole")
    if _yaml_exists("task", task, folders):
        result.append(f"task={task}")
    else:
        tasks = sorted({*_yaml_names("task", folders), *task_files([TASKS_PATH, *folders])} - {"Default"})
        if task not in task_files(folders):
            raise MyriadError(f"Unknown task {task!r}{_nearest(task, tasks)} The tasks are: {', '.join(tasks)}.")
        result += ["task=Default", f"task.name={task}"]
    train = chosen.get("train", f"{task}PPO")
    if not _yaml_exists("train", train, folders):
        if "train" in chosen:
            trains = _yaml_names("train", folders)
            raise MyriadError(f"Unknown train={train}{_nearest(train, trains)} There are: {', '.join(trains)}.")
        train = "DefaultPPO"
    result.append(f"train={train}")
    engine = chosen.get("engine", "auto")
    engines = _yaml_names("engine", folders)
    if engine not in engines:
        raise MyriadError(f"Unknown engine={engine}{_nearest(engine, engines)} The engines are: {', '.join(engines)}.")
    return [*result, f"engine={engine}"]


def _yaml_names(group: str, folders: list[Path]) -> list[str]:
    roots = [CFG_PATH, *(folder / "cfg" for folder in folders)]
    return sorted({path.stem for root in roots for path in (root / group).glob("*.yaml")})


def _yaml_exists(group: str, name: str, folders: list[Path]) -> bool:
    return name in _yaml_names(group, folders)


def _compose(overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CFG_PATH), version_base="1.3"):
            return compose("config", overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise MyriadError(f"The configuration cannot be composed: {_first_line(error)}") from None


def _check_key(override: Override, base: DictConfig) -> None:
    key = override.key_or_group
    if override.is_add() or override.is_force_add():
        return
    known = _keys(base)
    if key not in known:
        raise MyriadError(
            f"Unknown key {key!r}{_nearest(key, known)} Settings are in cfg/; a new one is added with +{key}=..."
        )


def _keys(node: Any, prefix: str = "") -> list[str]:
    keys = []
    if isinstance(node, DictConfig):
        for key in node:
            keys.append(f"{prefix}{key}")
            child = node._get_node(key)
            keys += _keys(child, f"{prefix}{key}.")
    return keys


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if not near:
        # A key given without its path, such as horizon_length, is found by its last part.
        lowered = name.lower().split(".")[-1]
        near = [k for k in known if k.lower().split(".")[-1] == lowered][:3]
    return f"; did you mean {' or '.join(near)}?" if near else "."


def _decide(config: DictConfig, given: set[str]) -> None:
    """Check values and decide those that are left to the machine: the device and the number of environments.

    Where a CPU gets fewer environments than a GPU would, the learner also gets the settings in `train.on_cpu`, but for
    those given on the command line.
    """
    for key, minimum in (
        ("num_envs", 1),
        ("max_iterations", 1),
        ("save_every", 1),
        ("episodes", 1),
        ("opset", 1),
        ("seed", -1),
    ):
        value = config[key]
        if value not in ("", None) and (isinstance(value, bool) or not isinstance(value, int) or value < minimum):
            raise MyriadError(f"{key}={value} cannot be: it must be a whole number, at least {minimum}.")
    for key in ("torch_deterministic", "multi_gpu", "headless", "test", "video", "wandb_activate"):
        if not isinstance(config[key], bool):
            raise MyriadError(f"{key}={config[key]} cannot be: it must be True or False.")
    shards = config.engine.shards
    if shards != "auto" and (not isinstance(shards, int) or shards < 1):
        raise MyriadError(f"engine.shards={shards} cannot be: it must be auto or a whole number, at least 1.")
    config.sim_device = _device(str(config.sim_device), config.multi_gpu)
    full = OmegaConf.select(config, "task.env.numEnvs")
    if not isinstance(full, int) or isinstance(full, bool) or full < 1:
        raise MyriadError(f"task.env.numEnvs={full} cannot be: it must be a whole number, at least 1.")
    if config.num_envs == "" and config.sim_device == "cpu":
        config.task.env.numEnvs = min(full, _ENVS_PER_CORE * len(os.sched_getaffinity(0)))
        for key, value in config.train.on_cpu.items():
            if f"train.params.config.{key}" not in given and not (key == "max_epochs" and "max_iterations" in given):
                config.train.params.config[key] = value
    dt = config.task.sim.dt
    if not isinstance(dt, (int, float)) or not 0.0 < dt <= 1.0:
        raise MyriadError(f"task.sim.dt={dt} cannot be: it is the physics step in seconds, such as 0.0083.")


def _device(wanted: str, multi_gpu: bool) -> str:
    import torch

    if multi_gpu:
        wanted = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    if wanted == "":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    # OmniIsaacGymEnvs says gpu.
    wanted = "cuda" if wanted == "gpu" else wanted
    if wanted == "cpu":
        return wanted
    if not re.fullmatch(r"cuda(:\d+)?", wanted):
        raise MyriadError(f"sim_device={wanted} cannot be: it must be cpu, cuda or cuda:<number>.")
    if not torch.cuda.is_available():
        raise MyriadError(
            f"sim_device={wanted} asks for CUDA, but torch finds none here; use sim_device=cpu, or see ./myriad doctor."
        )
    index = int(wanted.partition(":")[2] or 0)
    if index >= torch.cuda.device_count():
        raise MyriadError(
            f"sim_device={wanted} does not exist; this machine has cuda:0 to cuda:{torch.cuda.device_count() - 1}."
        )
    return f"cuda:{index}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
