# SPDX-License-Identifier: Apache-2.0
"""Imports point one way: verbs -> app -> learn, policy, deploy, ui -> env -> task -> engine; sources are read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A room may import itself and rooms with a smaller number; `learn` and `policy` know each other, as do what runs them.
FLOORS = {
    "__version__": 0,  # no room, but a name in omni.myriad itself
    "errors": 0,
    "files": 0,
    "maths": 0,
    "places": 0,
    "provenance": 0,
    "engine": 1,
    "robots": 1,
    "task": 2,
    "env": 3,
    "render": 4,
    "learn": 4,
    "policy": 4,
}
TOP = 5  # every other room: app, ui, deploy, benchmark, sweep
TASKS_MAY_IMPORT = ("math", "torch", "omni.myriad")
# Package: the folders and files that may import it. Parts of `omni` other than ours are Kit's.
BELONGS_TO = {
    "ovphysx": ("omni/myriad/engine",),
    "ovstage": ("omni/myriad/engine",),
    "isaacsim": ("omni/myriad/engine",),
    "carb": ("omni/myriad/engine", "omni/myriad/ui"),
    "omni": ("omni/myriad/engine", "omni/myriad/ui"),
    "omni.ui": ("omni/myriad/ui",),
    # A task authors environment 0, the renderer reads its shapes.
    "pxr": (
        "omni/myriad/engine",
        "omni/myriad/task",
        "omni/myriad/render",
        "omni/myriad/robots",
        "omni/myriad/oige",
        "assets",
    ),
    "rl_games": ("omni/myriad/learn/rl_games",),
    "rsl_rl": ("omni/myriad/learn/rsl_rl",),
    "tensordict": ("omni/myriad/learn/rsl_rl",),
    "skrl": ("omni/myriad/learn/skrl",),
    "stable_baselines3": ("omni/myriad/learn/sb3",),
    "mujoco": ("omni/myriad/engine/mujoco", "omni/myriad/robots"),
    "newton": ("omni/myriad/engine/camera", "omni/myriad/engine/newton", "omni/myriad/render"),
    "mujoco_warp": ("omni/myriad/engine/newton", "omni/myriad/benchmark"),
    "dartpy": ("omni/myriad/benchmark",),
    "imageio_ffmpeg": ("omni/myriad/render",),
    "viser": ("omni/myriad/viewer",),
    "trimesh": ("omni/myriad/viewer",),
    "ray": ("omni/myriad/sweep",),
    "optuna": ("omni/myriad/sweep",),
}
# What a learner's library calls things belongs into its room: others ask an Actor.
LEARNERS = "omni.myriad.learn"
LEARNERS_WORDS = re.compile(r"\bplayer\.|running_mean_std|a2c_network|\bis_rnn|get_env_info|set_train_info")


def inside(name: str, package: str) -> bool:
    """Tell whether a dotted name is a package or lies in it."""
    return name == package or name.startswith(package + ".")


def module_name(file: Path, root: Path) -> str:
    """Turn omni/myriad/learn/base.py into omni.myriad.learn.base, and a package's __init__.py into the package."""
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path, root: Path, later: bool = True) -> Iterator[str]:
    """Yield what a file imports, at its top or later: `from a import b` yields a.b, be it a module or a name in one.

    Imports for the type checker alone are left out: they never run. Those in functions are where `later` is False.
    """
    package = module_name(file, root).split(".")
    if file.name != "__init__.py":
        package.pop()
    for node in walk(ast.parse(file.read_text(), str(file)), later):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield str(node.args[0].value)


def walk(node: ast.AST, functions: bool = True) -> Iterator[ast.AST]:
    """Yield a syntax tree's nodes, without the bodies of `if TYPE_CHECKING:`, and of functions if told so."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not functions:
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        children = iter(node.orelse)
    else:
        children = ast.iter_child_nodes(node)
    for child in children:
        yield from walk(child, functions)


def room(name: str) -> str | None:
    """Return the room of omni.myriad that a dotted name lies in, None outside it."""
    parts = name.split(".")
    return parts[2] if parts[:2] == ["omni", "myriad"] and len(parts) > 2 else None


def siblings(file: Path, root: Path) -> list[str]:
    """Return the modules beside a file by the names that it may import them under: plain, or relative to its folder."""
    others = [other for other in file.parent.glob("*.py") if other != file]
    return [name for other in others for name in (other.stem, module_name(other, root))]


def learners_room(name: str) -> str | None:
    """Return the room of a learner that a dotted name lies in, None outside them all."""
    parts = name.split(".")
    is_room = inside(name, LEARNERS) and len(parts) > 3 and (ROOT / "/".join(parts[:4]) / "learner.py").is_file()
    return parts[3] if is_room else None


def owner(name: str) -> str | None:
    """Return the key of BELONGS_TO that governs an import: the longest that contains it."""
    if inside(name, "omni.myriad"):
        return None
    return max((package for package in BELONGS_TO if inside(name, package)), key=len, default=None)


def sources(root: Path) -> list[Path]:
    """Return every source file of the project, tests aside."""
    folders = ("omni", "tasks", "assets")
    return sorted([*root.glob("*.py"), *(file for folder in folders for file in (root / folder).rglob("*.py"))])


def violations(root: Path) -> list[str]:
    """Return one line for each import that points the wrong way."""
    found = []
    for file in sources(root):
        path = file.relative_to(root).as_posix()
        here = room(module_name(file, root))
        for name in imports(file, root):
            there = room(name)
            if here and there and FLOORS.get(there, TOP) > FLOORS.get(here, TOP):
                found.append(f"{path} imports {name}: {here} must not know {there}")
            # A benchmark may compare a library as it comes with ours.
            if learners_room(name) not in (None, learners_room(module_name(file, root))) and here != "benchmark":
                found.append(f"{path} imports {name}: a learner is asked for by its name (learn.base.room)")
            package = owner(name)
            if package and not any(f"{path}/".startswith(f"{place}/") for place in BELONGS_TO[package]):
                found.append(f"{path} imports {name}: only {', '.join(BELONGS_TO[package])} may")
            allowed = (*TASKS_MAY_IMPORT, *siblings(file, root))
            if path.startswith("tasks/") and not any(inside(name, package) for package in allowed):
                found.append(f"{path} imports {name}: tasks import {', '.join(TASKS_MAY_IMPORT)} and siblings only")
        if not learners_room(module_name(file, root)):
            words = sorted(set(LEARNERS_WORDS.findall(file.read_text())))
            found += [f"{path} says {word}: only a learner's own room may" for word in words]
    found += [
        f"omni/{name}: omni is Kit's namespace package" for name in ("__init__.py",) if (root / "omni" / name).exists()
    ]
    runtime = root / "omni/myriad/policy/runtime.py"
    if runtime.exists():
        found += [f"policy/runtime.py reaches {name}" for name in sorted(reached(runtime, root)) if heavy(name)]
    return found


def heavy(name: str) -> bool:
    """Tell whether a robot's computer should be spared this module."""
    return any(inside(name, package) for package in ("torch", "omni.myriad.engine", "ovphysx", "isaacsim", "rl_games"))


def reached(file: Path, root: Path) -> set[str]:
    """Return all that a file imports: through our own modules, and through the packages around them.

    Of those others only what they import at their top counts: what they import when called is their callers' choice.
    """
    names: set[str] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        parents = (folder / "__init__.py" for folder in current.relative_to(root).parents)
        todo = [
            *imports(current, root, later=current == file),
            *(module_name(root / parent, root) for parent in parents if parent.parts[:-1]),
        ]
        for name in todo:
            if name in names:
                continue
            names.add(name)
            stem = root / name.replace(".", "/")
            files = [
                stem.with_suffix(".py"),
                stem / "__init__.py",
                stem.parent.with_suffix(".py"),
                stem.parent / "__init__.py",
            ]
            waiting += [candidate for candidate in files if inside(name, "omni.myriad") and candidate.is_file()]
    return names


def test_the_project_keeps_its_rules():
    assert sources(ROOT), "no source files found"
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("path", "code", "complaint"),
    [
        ("omni/myriad/engine/base.py", "from omni.myriad.env.vec_env import VecEnv", "engine must not know env"),
        ("omni/myriad/task/rl_task.py", "def f():\n    from omni.myriad import learn", "task must not know learn"),
        (
            "omni/myriad/engine/base.py",
            "if TYPE_CHECKING:\n    pass\nelse:\n    from omni.myriad import ui",
            "not know ui",
        ),
        ("omni/myriad/env/vec_env.py", "from ..learn.rl_games import agent", "env must not know learn"),
        ("omni/myriad/learn/rl_games/agent.py", "import ovphysx", "only omni/myriad/engine may"),
        (
            "omni/myriad/policy/export.py",
            "from rl_games.torch_runner import Runner",
            "only omni/myriad/learn/rl_games may",
        ),
        (
            "omni/myriad/task/rl_task.py",
            "import importlib\nimportlib.import_module('isaacsim')",
            "only omni/myriad/engine may",
        ),
        ("omni/myriad/engine/physx/scene.py", "import omni.ui as ui", "only omni/myriad/ui may"),
        (
            "omni/myriad/learn/rl_games/runner.py",
            "from omni import physx",
            "only omni/myriad/engine, omni/myriad/ui may",
        ),
        (
            "omni/myriad/deploy/deployment.py",
            "from newton.sensors import SensorCamera",
            "only omni/myriad/engine/camera, omni/myriad/engine/newton, omni/myriad/render may",
        ),
        ("train.py", "from pxr import Usd", "omni/myriad/robots, omni/myriad/oige, assets may"),
        ("omni/myriad/engine/base.py", "import mujoco", "only omni/myriad/engine/mujoco, omni/myriad/robots may"),
        ("tasks/locomotion/ant.py", "import numpy as np", "tasks import math, torch, omni.myriad and siblings only"),
        ("tasks/locomotion/ant.py", "from _locomotion import Walker", "imports _locomotion.Walker"),  # there is none
        ("tasks/locomotion/ant.py", "from ..classic.cartpole import Cartpole", "imports tasks.classic.cartpole"),
        ("omni/myriad/policy/export.py", "from omni.myriad.learn.rl_games import actor", "asked for by its name"),
        ("omni/myriad/app/runs.py", "def f(player):\n    return player.is_rnn", "says player."),
        ("omni/myriad/learn/run.py", "import torch\nrunning_mean_std = 1", "says running_mean_std"),
        ("omni/myriad/learn/rl_games/agent.py", "from omni.myriad.novelty import thing", "learn must not know novelty"),
        ("omni/__init__.py", "", "omni is Kit's namespace package"),
        ("omni/myriad/policy/runtime.py", "from omni.myriad.errors import MyriadError\nimport torch", "reaches torch"),
    ],
)
def test_a_broken_rule_is_found(tmp_path, path, code, complaint):
    write(tmp_path, path, code)
    assert [line for line in violations(tmp_path) if complaint in line]


def test_runtime_is_followed_through_our_modules_and_packages(tmp_path):
    write(tmp_path, "omni/myriad/policy/runtime.py", "from omni.myriad.policy import metadata")
    write(tmp_path, "omni/myriad/policy/metadata.py", "import json")
    assert violations(tmp_path) == []
    write(tmp_path, "omni/myriad/policy/metadata.py", "from torch import nn")
    assert violations(tmp_path) == ["policy/runtime.py reaches torch.nn"]
    write(tmp_path, "omni/myriad/policy/metadata.py", "import json")
    write(tmp_path, "omni/myriad/policy/__init__.py", "import torch")
    assert violations(tmp_path) == ["policy/runtime.py reaches torch"]
    write(tmp_path, "omni/myriad/policy/__init__.py", "def __getattr__(name):\n    import torch")
    assert violations(tmp_path) == []
    write(tmp_path, "omni/myriad/policy/runtime.py", "def run():\n    import torch")
    assert violations(tmp_path) == ["policy/runtime.py reaches torch"]


def test_imports_that_are_right_pass(tmp_path):
    write(tmp_path, "train.py", "from omni.myriad.learn.run import train")
    write(
        tmp_path,
        "omni/myriad/learn/rl_games/learner.py",
        "import rl_games\nfrom .actor import player\nfrom ...env.vec_env import VecEnv\nfrom omni.myriad import errors",
    )
    write(tmp_path, "omni/myriad/engine/physx/scene.py", "import ovphysx\nfrom pxr import Usd")
    write(
        tmp_path,
        "omni/myriad/ui/window.py",
        "import omni.ui\nimport carb\nfrom omni.myriad.learn import run",
    )
    write(
        tmp_path,
        "omni/myriad/task/rl_task.py",
        "from pxr import Gf\nif TYPE_CHECKING:\n    from ..env.vec_env import VecEnv",
    )
    write(tmp_path, "tasks/ant.py", "import math\nimport torch\nfrom omni.myriad.task.rl_task import RLTask")
    write(tmp_path, "tasks/locomotion/_locomotion.py", "import torch")
    write(tmp_path, "tasks/locomotion/ant.py", "from _locomotion import Walker\nfrom ._locomotion import Runner")
    assert violations(tmp_path) == []


def write(root: Path, path: str, code: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code)
