# SPDX-License-Identifier: Apache-2.0
"""Turn the command line into a checked configuration.

Hydra composes `cfg/`, `schema` says what may be; every mistake ends in one line that names it and what would be right.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from omni.myriad.app.options import UNSET, Option, check, find, keys, options
from omni.myriad.app.run_folder import task_folders
from omni.myriad.app.schema import GROUPS, VERBS, everything
from omni.myriad.errors import MyriadError
from omni.myriad.files import refuse_bomb
from omni.myriad.oige.config import find_checkout, put_task
from omni.myriad.places import data_folder
from omni.myriad.task.loader import all_tasks, task_files

CFG_PATH = data_folder("cfg")

_ENVS_PER_CORE = 128
"""Environments a CPU core steps well: more lengthen an epoch without making a frame cheaper."""

_OF_A_RUN = ("experiment", "checkpoint", "train_dir", "test", "rl_device", "oige")
"""Settings that say where a run is or comes from, not what it does."""

# OmniIsaacGymEnvs' resolvers, so that its YAML files compose.
OmegaConf.register_new_resolver(
    "resolve_default", lambda default, value: default if value in ("", None) else value, replace=True
)
OmegaConf.register_new_resolver("eq", lambda x, y: str(x).lower() == str(y).lower(), replace=True)
OmegaConf.register_new_resolver("contains", lambda x, y: str(x).lower() in str(y).lower(), replace=True)
OmegaConf.register_new_resolver("if", lambda condition, a, b: a if condition else b, replace=True)

# What cfg/config.yaml lists as `options`.
ConfigStore.instance().store(
    "options", {name: found.default for name, found in everything().items() if name not in GROUPS}
)


def load_config(overrides: Sequence[str], verb: str | None = None) -> dict[str, Any]:
    """Compose, check and resolve a run's configuration.

    Args:
        overrides: Command line such as ["task=Ant", "num_envs=512", "train.params.config.gamma=0.98"].
        verb: Key of `VERBS` whose settings are allowed, by default those of all.

    Returns:
        The configuration as plain dictionaries, with `sim_device` and `num_envs` decided.

    Raises:
        MyriadError: On an unknown task or key, or an invalid value.
    """
    parsed = _parse(with_file(overrides))
    config = _chosen(parsed)
    declared = _plain(config)
    _override(config, parsed, verb)
    values = check(everything(), _plain(config), declared)
    _decide(config, values, {override.key_or_group for override in parsed})
    return check(everything(), _plain(config), declared)


def with_file(arguments: Sequence[str]) -> list[str]:
    """Return a command line with what the YAML of `settings=FILE` holds before the rest.

    Keys may be nested, or written as on the command line. Which code is run no file says.

    Raises:
        MyriadError: If it cannot be read, or holds something else than settings.
    """
    files = [text.partition("=")[2] for text in arguments if text.startswith("settings=")]
    if not files or not files[-1]:
        return [*arguments]
    path = Path(files[-1]).expanduser()
    refuse_bomb(path)
    try:
        # Text stays as it is written: it is read as on the command line.
        values = yaml.load(path.read_text(), yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MyriadError(f"settings={files[-1]} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise MyriadError(f"settings={files[-1]} is invalid: it must hold lines such as num_envs: 512.")
    found = dict(_flat(values))
    for key in ("task.task_path", "oige", "checkpoint", "settings"):
        if key in found:
            raise MyriadError(f"settings={files[-1]}: {key} is for the command line alone.")
    return [*(f"{key}={value}" for key, value in found.items()), *arguments]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", f"[{','.join(map(str, value))}]" if isinstance(value, list) else value


def show_config(overrides: Sequence[str]) -> dict[str, Any]:
    """Return what the YAML files that a command line chooses hold, whatever else it says; nothing is decided.

    Raises:
        MyriadError: On an unknown task, train or engine.
    """
    return _plain(_chosen(_parse([text for text in overrides if "=" in text])))


def differences(config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the settings of a resolved configuration that are not its task's defaults, by key: value and default."""
    parsed = _parse([f"task={config['task_name']}"])
    folders = [Path(folder) for folder in config["task"]["task_path"]]
    if config["oige"]:
        default = _compose(_choose_groups([], folders))
        put_task(default, find_checkout(config["oige"]), config["task_name"], f"{config['task_name']}PPO")
    else:
        default = _compose(_choose_groups(parsed, folders))
    ours, theirs = _leaves(config), _leaves(_plain(default))
    decided = ("sim_device", "engine.name") if theirs["engine.name"] == "auto" else ("sim_device",)
    left_out = {*decided, *_OF_A_RUN, *(key for key in ours if key.startswith("task.task_path"))}
    keys = [key for key in (*ours, *(key for key in theirs if key not in ours)) if key not in left_out]
    pairs = {key: (ours.get(key), theirs.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _leaves(value: Any, key: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {key: value}
    parts = [_leaves(item, f"{key}.{name}" if key else str(name)) for name, item in value.items()]
    return {name: leaf for part in parts for name, leaf in part.items()}


def _parse(overrides: Sequence[str]) -> list[Override]:
    parsed = []
    for text in overrides:
        try:
            override = OverridesParser.create().parse_override(text)
        except (HydraException, ValueError):
            override = None
        if override is None or override.package is not None or text.startswith("-"):
            said = " ".join(text.split())  # what holds a line break is still said in one line
            raise MyriadError(f"{said} is not understood; settings are written key=value, such as num_envs=512.")
        if override.is_sweep_override():
            raise MyriadError(f"{text} is invalid: a setting has one value; a list is written [1,2].")
        parsed.append(override)
    return parsed


def _chosen(parsed: Sequence[Override]) -> DictConfig:
    """Return what the YAML files hold that the command line chooses, with the folders that they were found in."""
    folders = _task_folders(parsed)
    for file in (file for folder in folders for file in (folder / "cfg").rglob("*.yaml")):
        refuse_bomb(file)
    given = {override.key_or_group: str(override.value()) for override in parsed}
    checkout = find_checkout(given["oige"]) if given.get("oige") else None
    # A checkout's task and learner are put in the place of these.
    ours = [override for override in parsed if override.key_or_group not in ("task", "train")] if checkout else parsed
    config = _compose(_choose_groups(ours, folders))
    config.task.task_path = [str(folder) for folder in folders]
    if checkout:
        task = given.get("task", "Cartpole")
        put_task(config, checkout, task, given.get("train", f"{task}PPO"))
    return config


def _task_folders(parsed: Sequence[Override]) -> list[Path]:
    """Return the folders of the override `task.task_path`, which say where else task files and YAML are found.

    Without it, those of the run whose folder `checkpoint` names.
    """
    given = {override.key_or_group: override.value() for override in parsed if not override.is_delete()}
    value = given.get("task.task_path")
    if "task.task_path" not in given:
        value = task_folders(str(given.get("checkpoint", "")), str(given.get("train_dir", "runs")))
    items = value if isinstance(value, list) else [value]
    folders = [Path(str(item)).expanduser().resolve() for item in items]
    for item, folder in zip(items, folders, strict=True):
        if not item or not folder.is_dir():
            raise MyriadError(f"task.task_path={item} is no folder: {folder}.")
    return folders


def _choose_groups(parsed: Sequence[Override], folders: Sequence[Path]) -> list[str]:
    """Return the group overrides for hydra, with defaults in the place of YAML files that a task does without."""
    chosen = {o.key_or_group: str(o.value()) for o in parsed if o.key_or_group in GROUPS and not o.is_delete()}
    roots = [f"file://{folder / 'cfg'}" for folder in folders if (folder / "cfg").is_dir()]
    result = [f"hydra.searchpath=[{','.join(roots)}]"] if roots else []
    tasks, trains, engines = (_yaml_names(group, folders) for group in ("task", "train", "engine"))
    task = chosen.get("task", "Cartpole")
    if task not in tasks and task in task_files(folders):
        result += ["task=Default", f"task.name={task}"]
    else:
        _require(task, tasks, f"task {task!r}", "The tasks are", all_tasks(folders))
        result.append(f"task={task}")
    train, engine = chosen.get("train", f"{task}PPO"), chosen.get("engine", "auto")
    if "train" in chosen:
        _require(train, trains, f"train={train}", "There are", trains)
    _require(engine, engines, f"engine={engine}", "The engines are", engines)
    return [*result, f"train={train if train in trains else 'DefaultPPO'}", f"engine={engine}"]


def _require(name: str, known: Sequence[str], what: str, there_are: str, listed: Sequence[str]) -> None:
    if name not in known:
        raise MyriadError(f"Unknown {what}{_nearest(name, listed)} {there_are}: {', '.join(listed)}.")


def _yaml_names(group: str, folders: Sequence[Path]) -> list[str]:
    roots = [CFG_PATH, *(folder / "cfg" for folder in folders)]
    return sorted({path.stem for root in roots for path in (root / group).glob("*.yaml")})


def _compose(overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CFG_PATH), version_base="1.3"):
            return compose("config", overrides)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError) as error:
        raise MyriadError(f"The configuration cannot be composed: {_first_line(error)}") from None


def _override(config: DictConfig, parsed: Sequence[Override], verb: str | None) -> None:
    """Put the command line's settings into a configuration; those that the schema has and the YAML lacks are added.

    Raises:
        MyriadError: On a key that nothing has, or that the verb does not take.
    """
    takes = options(VERBS[verb]) if verb else everything()
    for override in parsed:
        declared = [*_keys(config)]
        key, (top, _, below) = override.key_or_group, override.key_or_group.partition(".")
        found = find(takes, key)
        if verb and _is_taken(everything(), key) and not _is_taken(takes, key):
            source = VERBS[verb].settings_of
            why = f"takes a policy's settings from {source}" if source else "does not take it"
            names = (name for name in keys(takes) if "." not in name or name == "task.task_path")
            raise MyriadError(f"{override.input_line}: {verb} {why}; it understands {', '.join(names)}.")
        if not below and override.is_delete():
            raise MyriadError(f"~{key} is invalid: every run has it.")
        if key in (*GROUPS, "task.task_path"):
            continue
        value, (parent, _, name) = override.value(), key.rpartition(".")
        added = override.is_add() or override.is_force_add()
        # What the schema names needs no +, but where it would begin a section. A section is not one value.
        can_add = (
            found and (added or (found.help and parent in declared)) and (isinstance(value, dict) or found.is_leaf)
        )
        if top not in takes or (key not in declared and (override.is_delete() or not can_add)):
            near = _nearest(key, [*declared, *keys(takes)])
            raise MyriadError(
                f"Unknown key {key!r}{near} --help lists the settings; a new one of a task needs +task.env.NAME=..."
            )
        try:
            if override.is_delete():
                with open_dict(config):
                    del OmegaConf.select(config, parent)[name]
            else:
                OmegaConf.update(config, key, value, force_add=key not in declared)
        except OmegaConfBaseException as error:
            raise MyriadError(f"{override.input_line} is invalid: {_first_line(error)}.") from None


def _is_taken(takes: Mapping[str, Option], key: str) -> bool:
    """Tell whether a verb takes a key; in an open section YAML decides which there are."""
    top, _, below = key.partition(".")
    if below and top in takes and takes[top].is_open:
        return True
    found = find(takes, key)
    return found is not None and (key not in GROUPS or found.default is not UNSET)


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
        for key in node:
            yield f"{prefix}{key}"
            yield from _keys(node._get_node(key), f"{prefix}{key}.")


def _nearest(name: str, known: Sequence[str]) -> str:
    # A key given without its path, such as horizon_length, is found by its last part.
    meant = [key for key in known if not key.startswith("train.on_cpu.")]
    near = [key for key in meant if key.lower().split(".")[-1] == name.lower().split(".")[-1]][:3]
    near = near or difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(dict.fromkeys(near))}?" if near else "."


def _plain(config: DictConfig) -> dict[str, Any]:
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except RecursionError:
        raise MyriadError("The configuration does not resolve: a setting refers to itself.") from None
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", "") or "The configuration"
        raise MyriadError(f"{key} does not resolve: {_first_line(error)}") from None


def _decide(config: DictConfig, values: Mapping[str, Any], given: Collection[str]) -> None:
    """Decide what is left to the machine, the device and the number of environments, and who learns.

    Where a CPU gets fewer environments than a GPU would, the learner also gets the settings in `train.on_cpu`, but for
    those given on the command line.
    """
    _check_ranks()
    if values["learner"]:
        OmegaConf.update(config, "train.learner", values["learner"], force_add=True)
    config.sim_device = device = _device(values["sim_device"], values["multi_gpu"], values["gpus"])
    if values["num_envs"] is None and device == "cpu":
        most = _ENVS_PER_CORE * len(os.sched_getaffinity(0))
        config.task.env.numEnvs = min(values["task"]["env"]["numEnvs"], most)
        for key, value in (values["train"].get("on_cpu") or {}).items():
            if f"train.params.config.{key}" not in given:
                OmegaConf.update(config, f"train.params.config.{key}", value, force_add=True)


def _check_ranks() -> None:
    """Raise where the environment, which torchrun sets, does not say which process of a run this is."""
    numbers = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "LOCAL_WORLD_SIZE": 1}
    for name in numbers:
        text = os.environ.get(name, "")
        if text and not re.fullmatch("[0-9]{1,9}", text):
            raise MyriadError(f"{name}={text} in the environment is invalid: it must be a whole number, as torchrun's.")
        numbers[name] = int(text or numbers[name])
    for rank, size in (("RANK", "WORLD_SIZE"), ("LOCAL_RANK", "LOCAL_WORLD_SIZE")):
        if size in os.environ and numbers[rank] >= numbers[size]:
            raise MyriadError(
                f"{rank}={numbers[rank]} in the environment is invalid: it must be below {size}={numbers[size]}."
            )


def _device(wanted: str, multi_gpu: bool, gpus: int) -> str:
    if multi_gpu and gpus > 1:
        raise MyriadError(f"gpus={gpus} starts the processes itself: multi_gpu=True is for torchrun.")
    if wanted == "cpu":
        return wanted
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    asked = int(os.environ.get("LOCAL_WORLD_SIZE") or 1) if multi_gpu else gpus
    if (multi_gpu or gpus > 1) and asked > count:
        raise MyriadError(
            f"{asked} processes need a GPU each, and this machine has {count}: start at most as many, or try "
            "several out with sim_device=cpu."
        )
    if ":" in wanted and gpus > 1:
        raise MyriadError(f"gpus={gpus} takes cuda:0 to cuda:{gpus - 1}: leave out sim_device={wanted}.")
    if multi_gpu:
        wanted = f"cuda:{os.environ.get('LOCAL_RANK') or 0}"
    if wanted == "" and not count:
        return "cpu"
    # OmniIsaacGymEnvs says gpu.
    wanted = "cuda" if wanted in ("", "gpu") else wanted
    if not count:
        raise MyriadError(
            f"sim_device={wanted} asks for CUDA, but torch finds none here; use sim_device=cpu, or see ./myriad doctor."
        )
    index = int(wanted.partition(":")[2] or 0)
    if index >= count:
        raise MyriadError(f"sim_device={wanted} does not exist; this machine has cuda:0 to cuda:{count - 1}.")
    return f"cuda:{index}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
