# SPDX-License-Identifier: Apache-2.0
"""Find a task of a checkout: its YAML with its own defaults, and its class."""

from __future__ import annotations

import ast
import importlib
import runpy
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from omni.myriad.errors import MyriadError
from omni.myriad.files import refuse_bomb
from omni.myriad.oige import PACKAGE

_TASK_UTIL = "utils/task_util.py"
_CANNOT = {
    "CartpoleCamera": "it observes pictures of Isaac Sim's renderer",
    "TargetFollowing": "it observes pictures of Isaac Sim's renderer, and its robot is on Nucleus alone",
    "FrankaDeformable": "standalone PhysX has no views of deformable bodies here",
    **dict.fromkeys(
        ("FactoryTaskNutBoltPick", "FactoryTaskNutBoltPlace", "FactoryTaskNutBoltScrew"),
        "its nuts and bolts are on Nucleus alone, and nothing of simple shapes screws as they do",
    ),
}
"""OmniIsaacGymEnvs' tasks that do not run here, and why; docs/porting.md has all of them."""

_DEFAULTS = "utils/config_utils/default_scene_params.py"


def find_checkout(folder: str) -> Path:
    """Return the folder that holds the package `omniisaacgymenvs`: the one given, or one above or in it.

    Raises:
        MyriadError: If it is no checkout of OmniIsaacGymEnvs.
    """
    given = Path(folder).expanduser().resolve()
    for candidate in (given, given.parent):
        if (candidate / PACKAGE / _TASK_UTIL).is_file():
            return candidate
    raise MyriadError(f"oige={folder} is no checkout of OmniIsaacGymEnvs: it has no {PACKAGE}/{_TASK_UTIL}.")


def task_classes(checkout: Path) -> dict[str, tuple[str, str]]:
    """Return module and class of each task of a checkout by name, as its task_util.py says; nothing is imported."""
    file = checkout / PACKAGE / _TASK_UTIL
    tree = ast.parse(file.read_text(), str(file))
    origin: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            origin |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    tables = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Dict)
        and [getattr(target, "id", "") for target in node.targets] == ["task_map"]
    )
    return {
        str(key.value): origin[value.id]
        for table in tables
        for key, value in zip(table.keys, table.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Name) and value.id in origin
    }


def put_task(config: DictConfig, checkout: Path, task: str, train: str) -> None:
    """Replace a configuration's sections `task` and `train` by a checkout's, over its own defaults.

    Args:
        config: A composed configuration; what its YAML refers to, such as `num_envs`, is taken from there.
        checkout: As `find_checkout` returns it.
        task: Name of the task.
        train: Name of its learner's YAML.

    Raises:
        MyriadError: If there is no such task or YAML.
    """
    known = task_classes(checkout)
    if task not in known:
        raise MyriadError(f"{checkout} has no task {task}; its tasks are: {', '.join(known)}.")
    if task in _CANNOT:
        raise MyriadError(f"{task} of OmniIsaacGymEnvs does not run here: {_CANNOT[task]}.")
    cfg, path = checkout / PACKAGE / "cfg", config.task.task_path
    for kind, name in (("task", task), ("train", train)):
        if not (cfg / kind / f"{name}.yaml").is_file():
            raise MyriadError(f"{kind}={name} has no YAML in {cfg / kind}.")
    with open_dict(config):
        ours = {"task_path": path, "name": task}
        config.task = OmegaConf.merge(_defaults(checkout), _read(cfg / "task" / f"{task}.yaml"), ours)
        env = config.task.env
        # Tasks name the limit of their episodes as they like, and set it themselves.
        env.setdefault("episodeLength", env.get("maxEpisodeLength", 1000))
        config.train = _read(cfg / "train" / f"{train}.yaml")
        config.train.params.config.setdefault("reward_shaper", {})
        config.pipeline = "${if:${eq:${sim_device},cpu},cpu,gpu}"


def _read(file: Path, over: tuple[Path, ...] = ()) -> DictConfig:
    """Return a YAML file over those beside it that its list of defaults names.

    Raises:
        MyriadError: If it cannot be read, or is too much, or is its own default.
    """
    if file in over:
        raise MyriadError(f"{file} is among its own defaults.")
    refuse_bomb(file)
    try:
        content = OmegaConf.load(file)
        assert isinstance(content, DictConfig), "it is no dictionary"
        names = [file.with_name(f"{name}.yaml") for name in content.pop("defaults", []) if name != "_self_"]
    except (OmegaConfBaseException, YAMLError, OSError, ValueError, AssertionError) as error:
        raise MyriadError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None
    return OmegaConf.merge(*(_read(name, (*over, file)) for name in names), content)  # type: ignore[return-value]


def _defaults(checkout: Path) -> DictConfig:
    """Return what its tasks' YAML need not say, from its own file and, for the environment, from its RLTask."""
    file = checkout / PACKAGE / _DEFAULTS
    theirs = runpy.run_path(str(file)) if file.is_file() else {}
    try:
        sim, physx = theirs["default_sim_params"], theirs["default_physx_params"]
    except KeyError as error:
        raise MyriadError(f"{file} does not have {error}: give an unmodified checkout of OmniIsaacGymEnvs.") from None
    inf = float("inf")
    env = {"envSpacing": 0.0, "controlFrequencyInv": 1, "clipObservations": inf, "clipActions": inf}
    return OmegaConf.create({"env": env, "sim": {**sim, "physx": physx}})


def take_checkout(config: dict[str, Any], asked: Mapping[str, Any]) -> None:
    """Let the command line name the checkout for a configuration from a file, which itself may name no code to run.

    Raises:
        MyriadError: If the file's task is a checkout's, and none is given.
    """
    if config.get("oige") and not asked["oige"]:
        raise MyriadError(f"{config['task_name']} was trained from a checkout of OmniIsaacGymEnvs: add oige=FOLDER.")
    config["oige"] = asked["oige"] if config.get("oige") else ""


def vec_env_class(config: dict[str, Any]) -> Any:
    """Return the class of environments that steps a checkout's tasks; to be called before the engine is made.

    Raises:
        MyriadError: If another engine than standalone PhysX is asked for.
    """
    from omni.myriad import engine

    if engine.choose(engine.SimConfig(config)) != "physx":
        raise MyriadError("oige=... runs on standalone PhysX alone: add engine=physx.")
    from omni.myriad.oige import modules, rl_task

    modules.install(find_checkout(config["oige"]))
    return rl_task.VecEnv


def load_task(config: dict[str, Any], env: Any) -> Any:
    """Make a checkout's task, from its own file.

    Args:
        config: The resolved configuration; `oige` names the checkout.
        env: The `rl_task.VecEnv` that steps it.

    Raises:
        MyriadError: If a file of the checkout raises when it is loaded, with the place.
    """
    from omni.myriad.oige import prims, rl_task

    checkout = find_checkout(config["oige"])
    prims.use(env.engine)
    module, name = task_classes(checkout)[config["task_name"]]
    try:
        task_class = getattr(importlib.import_module(module), name)
    except MyriadError:
        raise
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(str(checkout))]
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else module
        raise MyriadError(f"{place}: {type(error).__name__}: {error}") from error
    return task_class(name=config["task_name"], sim_config=rl_task.make_sim_config(config), env=env)
