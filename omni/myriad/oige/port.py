# SPDX-License-Identifier: Apache-2.0
"""Say what would change for a task file of OmniIsaacGymEnvs that is to become one of ours: `./myriad port FILE`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from omni.myriad.errors import MyriadError
from omni.myriad.files import refuse_bomb

Change = tuple[int, str, str]
"""Line, what is there, what becomes of it."""

_OURS = {"RLTask", "ArticulationView", "RigidPrimView"}
_MATHS = Path(__file__).parents[1] / "maths.py"
_IMPORTS = {
    "get_prim_at_path": "self.stage.GetPrimAtPath(path)",
    "get_current_stage": "self.stage",
    "add_reference_to_stage": "self.add_robot(name, file, position)",
    "get_assets_root_path": "a USD file beside the task, or of the catalogue: omni.myriad.robots.find(name).usd",
    "Robot": "self.add_robot(name, file, position), which applies sim.<name> as well",
    "SimulationContext": "control_frequency_inv in the YAML, or self.world.step(1)",
    "numpy": "torch and math",
}
_CALLS = {
    "apply_articulation_settings": "nothing: self.add_robot(name, ...) applies sim.<name>",
    "parse_actor_config": "nothing: self.add_robot(name, ...) reads sim.<name>",
}
_METHODS = {
    "initialize_views": "delete it",
    "update_config": "class attributes, and self.task_config where numbers are needed",
    "__init__": "class attributes num_observations and num_actions, or observation_terms() and action_terms()",
    "pre_physics_step": "apply_actions(actions), without its resets and `is_playing`; or keep it as it is",
    "is_done": "keep it; self.time_out_buf says where time was up, which bootstraps the value",
}
_OUR_DEFAULTS = {"controlFrequencyInv": (1, 2), "clipActions": (float("inf"), 1.0)}
"""By key of `env`: what OmniIsaacGymEnvs takes where a YAML says nothing, and what cfg/task/Default.yaml does."""
_UNUSED = ("use_gpu_pipeline", "use_fabric", "add_distant_light", "enable_cameras", "rendering_dt", "substeps")
_UNUSED_PHYSX = ("worker_thread_count", "use_gpu", "gpu_max_soft_body_contacts", "gpu_max_particle_contacts",
                 "contact_offset", "rest_offset", "max_depenetration_velocity")  # fmt: skip


def changes(source: str) -> list[Change]:
    """Return what would change in the text of a task file, in the order of its lines.

    Raises:
        SyntaxError: If it is no Python.
    """
    known = {node.name for node in ast.parse(_MATHS.read_text()).body if isinstance(node, ast.FunctionDef)}
    found = [change for node in ast.walk(ast.parse(source)) for change in _of(node, known)]
    return sorted(dict.fromkeys(found))


def _of(node: ast.AST, maths: set[str]) -> Iterator[Change]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name not in ("torch", "math"):
                yield node.lineno, f"import {alias.name}", _IMPORTS.get(alias.name, "nothing like it: do without")
    elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in ("torch", "math", "__future__"):
        for alias in node.names:
            yield node.lineno, f"from {node.module} import {alias.name}", _import(str(node.module), alias.name, maths)
    elif isinstance(node, ast.FunctionDef) and node.name in _METHODS:
        yield node.lineno, f"def {node.name}", _METHODS[node.name]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _CALLS:
            yield node.lineno, f"{node.func.attr}(...)", _CALLS[node.func.attr]
        if node.func.attr == "set_up_scene" and node.keywords:
            names = ", ".join(str(keyword.arg) for keyword in node.keywords)
            yield node.lineno, f"set_up_scene(scene, {names}=...)", "super().set_up_scene(scene)"
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
        for target in node.targets:
            if isinstance(target, ast.Attribute) and target.attr == "_max_episode_length":
                yield node.lineno, "self._max_episode_length", f"env.episodeLength: {node.value.value} in the YAML"


def _import(module: str, name: str, maths: set[str]) -> str:
    if name in _OURS:
        return f"from omni.myriad import {name}"
    if name in _IMPORTS:
        return _IMPORTS[name]
    if ".utils.torch" in module:
        if name == "*":
            return f"from omni.myriad.maths import what it uses; there are: {', '.join(sorted(maths))}"
        return f"from omni.myriad.maths import {name}" if name in maths else "a few lines of torch: maths has it not"
    if ".robots.articulations" in module:
        return "self.add_robot(name, file, position); its view: ArticulationView(expression, name)"
    if module.startswith("omniisaacgymenvs."):
        return f"a file beside the task: from _{module.rsplit('.', 1)[-1]} import {name}"
    if module == "pxr":
        return "author robots in their USD files; in a method, from pxr import ... works as well"
    return "nothing like it: do without"


def yaml_changes(values: dict) -> list[str]:
    """Return what would change in the YAML of a task."""
    env, sim = values.get("env") or {}, values.get("sim") or {}
    lines = [
        f"add env.{key}: {str(theirs).replace('inf', '.inf')} (theirs by default; ours is {ours})"
        for key, (theirs, ours) in _OUR_DEFAULTS.items()
        if key not in env
    ]
    if "episodeLength" not in env:
        lines.append("add env.episodeLength")
    dead = [f"sim.{key}" for key in _UNUSED if key in sim]
    dead += [f"sim.physx.{key}" for key in _UNUSED_PHYSX if key in (sim.get("physx") or {})]
    if dead:
        lines.append(f"delete what is not used: {', '.join(dead)}")
    return [*lines, "begin with `defaults: [Default]`, and delete what is as in cfg/task/Default.yaml"]


def report(file: Path) -> str:
    """Return what would change for a task file, and for the YAML of its name in the checkout around it.

    Raises:
        MyriadError: If it is no Python file.
    """
    try:
        found = changes(file.read_text())
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise MyriadError(f"{file} cannot be read as Python: {error}.") from None
    lines = [f"{file}: {len({line for line, _, _ in found})} lines to look at"]
    lines += [f"  {line:4}  {what}\n        -> {then}" for line, what, then in found]
    name = "".join(part.capitalize() for part in file.stem.split("_"))
    for yaml in file.resolve().parent.parent.glob(f"cfg/task/{name}.yaml"):
        from omegaconf import OmegaConf

        refuse_bomb(yaml)
        content = OmegaConf.to_container(OmegaConf.load(yaml), resolve=False)
        assert isinstance(content, dict)
        lines += [f"{yaml}:", *(f"  {line}" for line in yaml_changes(content))]
    return "\n".join(lines)
