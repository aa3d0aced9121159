# SPDX-License-Identifier: Apache-2.0
"""Domain randomization as OmniIsaacGymEnvs' tasks write it in their YAML, under `domain_randomization`.

Observations and actions get noise. What bodies and robots are like (`ATTRIBUTES`) is drawn for the environments that
start again, or that are due, and written in one batch; PhysX keeps most of it on the host, so that the environments'
numbers are asked for once in a step in which any of it is randomized.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from omni.myriad.task.rl_task import RLTask

KEY = "domain_randomization.randomization_params"
_MATERIAL = "SHAPE_FRICTION_AND_RESTITUTION"
ATTRIBUTES: dict[str, dict[str, tuple[str, int | None]]] = {
    "RIGID_BODY": {
        "mass": ("_MASS", None),
        "material_properties": (f"_{_MATERIAL}", None),
        "velocity": ("_VELOCITY", None),
    },
    "ARTICULATION": {
        "stiffness": ("_DOF_STIFFNESS", None),
        "damping": ("_DOF_DAMPING", None),
        "lower_dof_limits": ("_DOF_LIMIT", 0),
        "upper_dof_limits": ("_DOF_LIMIT", 1),
        "max_efforts": ("_DOF_MAX_FORCE", None),
        "joint_armatures": ("_DOF_ARMATURE", None),
        "body_masses": ("_BODY_MASS", None),
        "tendon_stiffnesses": ("_FIXED_TENDON_STIFFNESS", None),
        "tendon_dampings": ("_FIXED_TENDON_DAMPING", None),
        "material_properties": (f"_{_MATERIAL}", None),
        "joint_friction": ("_DOF_FRICTION_PROPERTIES", 0),
        "joint_max_velocities": ("_DOF_MAX_VELOCITY", None),
        "joint_velocities": ("_DOF_VELOCITY", None),
        "velocity": ("_ROOT_VELOCITY", None),
    },
}
"""By kind of view and name of the attribute: PhysX's tensor, and the part of its last dimension."""

MOVING = ("velocity", "joint_velocities")
"""These change as the robot moves: what is drawn goes onto what they are, and not onto what they were at first."""
_VIEWS = {"rigid_prim_views": "RIGID_BODY", "articulation_views": "ARTICULATION"}
_TIMES = ("on_reset", "on_interval", "on_startup")
_KINDS = {"uniform": "uniform", "gaussian": "normal", "normal": "normal", "loguniform": "log_uniform"}
_KINDS["log_uniform"] = "log_uniform"
_OPERATIONS = ("additive", "scaling", "direct")


@dataclass
class Distribution:
    """A distribution by its kind ("uniform", "normal" or "log_uniform") and its two parameters, one for each number."""

    kind: str
    first: Any
    second: Any

    def draw(self, rows: int, device: torch.device, numbers: int | None = None) -> Tensor:
        """Return samples, (rows, numbers); parameters for fewer numbers, such as one or those of a shape, repeat."""
        # Of arrays, one for each shape, where numbers are grouped by shapes.
        arrays = (np.asarray(value, np.float32).ravel() for value in (self.first, self.second))
        first, second = (torch.from_numpy(value).to(device) for value in arrays)
        if numbers is not None:
            first, second = (value.repeat(numbers // len(value)) for value in (first, second))
        if self.kind == "normal":
            return first + second * torch.randn((rows, len(first)), device=device)
        chance = torch.rand((rows, len(first)), device=device)
        if self.kind == "uniform":
            return first + (second - first) * chance
        return torch.exp(first.log() + (second.log() - first.log()) * chance)


def combine(operation: str, start: Tensor, drawn: Tensor) -> Tensor:
    """Return what a sample makes of a value: additive, scaling or direct."""
    if operation == "additive":
        return start + drawn
    return start * drawn if operation == "scaling" else drawn.expand_as(start)


def write(view: Any, kind: str, attribute: str, values: Tensor, rows: Tensor) -> None:
    """Write what was drawn for an attribute of a view.

    Args:
        view: The view.
        kind: "RIGID_BODY" or "ARTICULATION".
        attribute: A name in `ATTRIBUTES`.
        values: Of the rows.
        rows: Which, (M,).
    """
    tensor, part = ATTRIBUTES[kind][attribute]
    if part is not None:
        whole = view._read(f"{kind}{tensor}", rows, None, True)
        parts = (0, 1) if attribute == "joint_friction" else (part,)  # friction at rest and in motion alike
        whole[..., parts] = values.to(whole.device).unsqueeze(-1)
        values = whole
    view._write(f"{kind}{tensor}", attribute, values.to(view._device), rows)


def read(view: Any, kind: str, attribute: str, rows: Tensor | None = None) -> Tensor:
    """Return an attribute of a view, of rows or all; see `write`."""
    tensor, part = ATTRIBUTES[kind][attribute]
    values = view._read(f"{kind}{tensor}", rows, None, True)
    return values if part is None else values[..., part]


@dataclass
class Rule:
    """What is drawn at one time: `operation` on the value, `interval` steps apart where it is not at resets."""

    operation: str
    distribution: Distribution
    interval: int = 0
    buckets: int = 0


class AddedNoise:
    """Noise on observations or actions: the same for an episode (on_reset), and anew every so many steps (on_interval).

    It does the same work in every step and keeps its tensors, so that a captured step can have it.

    Args:
        rules: By "on_reset" and "on_interval".
        shape: Of what it is added to, (num_envs, numbers).
        device: Where that is.
    """

    def __init__(self, rules: Mapping[str, Rule], shape: tuple[int, int], device: torch.device) -> None:
        self._rules, self._shape, self._device = rules, shape, device
        self._lasting = self._draw(rules["on_reset"]) if "on_reset" in rules else None
        self._steps = torch.zeros(shape[0], dtype=torch.long, device=device)

    def _draw(self, rule: Rule) -> Tensor:
        """Return samples; of two numbers for all, as observations and actions have them."""
        kind, first, second = rule.distribution.kind, rule.distribution.first, rule.distribution.second
        drawn = torch.empty(self._shape, device=self._device)
        if kind == "normal":
            return drawn.normal_(first, second)
        if kind == "uniform":
            return drawn.uniform_(first, second)
        return drawn.uniform_(math.log(first), math.log(second)).exp_()

    def __call__(self, values: Tensor, began: Tensor) -> Tensor:
        """Return values with noise.

        Args:
            values: (num_envs, numbers).
            began: Not 0 where an episode begins, (num_envs,).
        """
        began = began.bool()
        if self._lasting is not None:
            rule = self._rules["on_reset"]
            torch.where(began.unsqueeze(-1), self._draw(rule), self._lasting, out=self._lasting)
            values = combine(rule.operation, values, self._lasting)
        if "on_interval" in self._rules:
            rule = self._rules["on_interval"]
            self._steps.masked_fill_(began, 0).add_(1)
            due = self._steps >= rule.interval
            self._steps.masked_fill_(due, 0)
            values = torch.where(due.unsqueeze(-1), combine(rule.operation, values, self._draw(rule)), values)
        return values


class _Attribute:
    """An attribute of a view, and when it is drawn."""

    def __init__(self, view: Any, kind: str, name: str, rules: Mapping[str, Rule]) -> None:
        self._view, self._kind, self._name, self._rules = view, kind, name, rules
        self._base = self._initial = read(view, kind, name)
        if "on_interval" in rules:
            self._base = self._initial.clone()  # what the last reset has made of it

    @property
    def interval(self) -> int:
        """Steps from one draw of on_interval to the next; 0 without such."""
        return self._rules["on_interval"].interval if "on_interval" in self._rules else 0

    def draw(self, time: str, env_ids: Tensor, num_envs: int) -> None:
        """Draw for environments, (M,), if there is a rule for that time."""
        rule = self._rules.get(time)
        if rule is None or not len(env_ids):
            return
        each = self._view.count // num_envs  # bodies in an environment
        rows = (env_ids.unsqueeze(-1) * each + torch.arange(each, device=env_ids.device)).view(-1)
        rows = rows.to(self._initial.device)
        if self._name in MOVING:
            start = read(self._view, self._kind, self._name, rows)
        else:
            start = (self._base if time == "on_interval" else self._initial)[rows]
        numbers = start[0].numel()
        samples = rule.distribution.draw(rule.buckets or len(rows), start.device, numbers)
        if rule.buckets:
            samples = samples[torch.randint(rule.buckets, (len(rows),), device=start.device)]
        values = combine(rule.operation, start, samples.view(start.shape))
        if time != "on_interval" and self._base is not self._initial:
            self._base[rows] = values
        if time == "on_startup":
            self._initial[rows] = values
        write(self._view, self._kind, self._name, values, rows)


class Randomizer:
    """What a task's YAML asks for, checked and ready.

    Args:
        task: The task, whose physics runs.

    Attributes:
        observations: Noise on them, or None.
        actions: Noise on them, or None.

    Raises:
        MyriadError: If a key is unknown or not supported, or a distribution does not fit.
    """

    def __init__(self, task: RLTask, params: Mapping[str, Any]) -> None:
        self._num_envs, self._task = task.num_envs, task
        known = {"observations", "actions", *_VIEWS}
        self.observations = self.actions = None
        self._attributes: list[_Attribute] = []
        for name, given in params.items():
            if given is None:
                continue
            if name not in known:
                _refuse(name, known, " (PhysX takes gravity once)" if name == "simulation" else "")
            if name in ("observations", "actions"):
                width = task.num_observations if name == "observations" else task.num_actions
                rules = _rules(name, given, None, ("on_reset", "on_interval"))
                setattr(self, name, AddedNoise(rules, (task.num_envs, width), task.device))
                continue
            for view_name, attributes in given.items():
                self._attributes += self._of_view(name, view_name, attributes or {})
        if isinstance(task.obs_buf, dict) and self.observations is not None:
            raise MyriadError(f"{KEY}.observations: task {task.name} observes pictures, which get no noise yet.")
        everywhere = torch.arange(self._num_envs, device=task.device)
        for attribute in self._attributes:
            attribute.draw("on_startup", everywhere, self._num_envs)

    def _of_view(self, group: str, view_name: str, attributes: Mapping[str, Any]) -> Iterable[_Attribute]:
        scene, kind = self._task.world.scene, _VIEWS[group]
        views: Mapping[str, Any] = scene.robots() if kind == "ARTICULATION" else scene.bodies()
        if view_name not in views:
            _refuse(f"{group}.{view_name}", views)
        if self._task.world.name != "physx":
            raise MyriadError(
                f"{KEY}.{group} needs engine=physx; with others, noise on observations and actions works."
            )
        view: Any = views[view_name]
        for name, given in attributes.items():
            key = f"{group}.{view_name}.{name}"
            if name not in ATTRIBUTES[kind]:
                _refuse(key, ATTRIBUTES[kind])
            if "TENDON" in ATTRIBUTES[kind][name][0] and not view.num_fixed_tendons:
                raise MyriadError(f"{KEY}.{key}: the robot has no tendons.")
            if name in ("stiffness", "damping") and getattr(view, "motors", None) is not None:
                raise MyriadError(f"{KEY}.{key}: motors of kind pd are not PhysX's, and their gains are not drawn yet.")
            numbers = read(view, kind, name, torch.zeros(1, dtype=torch.long, device=self._task.device))[0].numel()
            yield _Attribute(view, kind, name, _rules(key, given, numbers, _TIMES))

    def before_step(self, actions: Tensor) -> Tensor:
        """Draw what is due before physics, and return the actions with their noise.

        Where `reset_buf` is not 0 a new episode begins with this step.
        """
        task = self._task
        if self._attributes:
            env_ids = task.reset_buf.nonzero().squeeze(-1)
            for attribute in self._attributes:
                attribute.draw("on_reset", env_ids, self._num_envs)
                if attribute.interval:
                    # An episode that begins now is at its step 0.
                    steps = task.progress_buf.masked_fill(task.reset_buf.bool(), 0)
                    due = ((steps > 0) & (steps % attribute.interval == 0)).nonzero().squeeze(-1)
                    attribute.draw("on_interval", due, self._num_envs)
        return actions if self.actions is None else self.actions(actions, task.reset_buf)


def make_randomizer(task: RLTask) -> Randomizer | None:
    """Return what a task's YAML asks for, None where `domain_randomization` is missing or off."""
    given = task.task_config.get("domain_randomization") or {}
    unknown = sorted(set(given) - {"randomize", "min_frequency", "randomization_params"})
    if unknown:
        raise MyriadError(f"domain_randomization.{unknown[0]} is unknown: it has randomize and randomization_params.")
    params = given.get("randomization_params")
    return Randomizer(task, params) if given.get("randomize") and params else None


def _rules(key: str, given: Any, numbers: int | None, times: tuple[str, ...]) -> dict[str, Rule]:
    """Return the rules of one thing by their times.

    Args:
        key: Where it stands, for messages.
        given: What stands there.
        numbers: How many numbers it has; None for observations and actions, whose parameters are two numbers.
        times: When it may be drawn.
    """
    if not isinstance(given, Mapping) or not given:
        raise MyriadError(f"{KEY}.{key}={given} is invalid: it must say {' or '.join(times)}.")
    rules = {}
    for time, values in given.items():
        here = f"{key}.{time}"
        if time not in times:
            _refuse(here, times)
        wanted = {"operation", "distribution", "distribution_parameters"}
        wanted |= {"frequency_interval"} if time == "on_interval" else set()
        if missing := sorted(wanted - set(values)):
            raise MyriadError(f"{KEY}.{here} does not say its {missing[0]}.")
        optional = {"num_buckets"} if key.endswith("material_properties") else set()
        if unknown := sorted(set(values) - wanted - optional):
            _refuse(f"{here}.{unknown[0]}", wanted | optional)
        operation, kind, parameters = (
            values[name] for name in ("operation", "distribution", "distribution_parameters")
        )
        if operation not in _OPERATIONS:
            _refuse(f"{here}.operation={operation}", _OPERATIONS)
        if kind not in _KINDS:
            _refuse(f"{here}.distribution={kind}", _KINDS)
        sizes = {np.size(part) for part in parameters}
        fits = len(parameters) == 2 and len(sizes) == 1 and (sizes == {1} or (numbers and numbers % max(sizes) == 0))
        if not fits or (kind.startswith("log") and np.min(parameters) <= 0.0):
            many = f" or two lists of {numbers}" if numbers else ""
            raise MyriadError(
                f"{KEY}.{here}.distribution_parameters={parameters} must be two numbers{many}, or above 0."
            )
        interval = int(values.get("frequency_interval", 0))
        rules[time] = Rule(operation, Distribution(_KINDS[kind], *parameters), interval, values.get("num_buckets", 0))
    return rules


def _refuse(key: str, known: Iterable[str], why: str = "") -> NoReturn:
    raise MyriadError(f"{KEY}.{key} is not supported{why}; what is: {', '.join(sorted(known)) or 'none'}.")
