# SPDX-License-Identifier: Apache-2.0
"""Domain randomization as OmniIsaacGymEnvs' tasks write it in their YAML, under `domain_randomization`.

Observations and actions get noise. What bodies and robots are like (`ATTRIBUTES`) is drawn for the environments that
start again, or that are due, and written in one batch; PhysX keeps most of it on the host, so that the environments'
numbers are asked for once in a step in which any of it is randomized.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from omni.myriad.engine.base import rows_of
from omni.myriad.errors import MyriadError
from omni.myriad.task.imperfect import Delay, Sensors, span
from omni.myriad.task.terms import ObservationTerm

if TYPE_CHECKING:
    from omni.myriad.task.rl_task import RLTask

KEY = "domain_randomization.randomization_params"
_MATERIAL = "SHAPE_FRICTION_AND_RESTITUTION"
ATTRIBUTES: dict[str, dict[str, tuple[str, int | None]]] = {
    "RIGID_BODY": {
        "mass": ("_MASS", None),
        "inertia": ("_INERTIA", None),
        "material_properties": (f"_{_MATERIAL}", None),
        "velocity": ("_VELOCITY", None),
        "force": ("_WRENCH", None),
    },
    "ARTICULATION": {
        "stiffness": ("_DOF_STIFFNESS", None),
        "damping": ("_DOF_DAMPING", None),
        "lower_dof_limits": ("_DOF_LIMIT", 0),
        "upper_dof_limits": ("_DOF_LIMIT", 1),
        "max_efforts": ("_DOF_MAX_FORCE", None),
        "joint_armatures": ("_DOF_ARMATURE", None),
        "body_masses": ("_BODY_MASS", None),
        "body_inertias": ("_BODY_INERTIA", None),
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

TOGETHER = {
    "RIGID_BODY": {"density": ("mass", "inertia")},
    "ARTICULATION": {
        "density": ("body_masses", "body_inertias"),
        "motor_strength": ("stiffness", "damping", "max_efforts"),
    },
}
"""What is scaled by the same samples: a denser body, or a motor whose drive does more, or less, for what it is told."""

_MATRICES = ("inertia", "body_inertias")
"""What has nine numbers that can only be scaled by one."""

_ONTO = {"payload": "body_masses"}
"""What is added to an attribute, after that was drawn."""

_FORCE = "force"
MOVING = ("velocity", "joint_velocities", _FORCE)
"""These change as the robot moves: what is drawn goes onto what they are, and not onto what they were at first."""
_VIEWS = {"rigid_prim_views": "RIGID_BODY", "articulation_views": "ARTICULATION"}
_TIMES = ("on_reset", "on_interval", "on_startup")
_KINDS = {"uniform": "uniform", "gaussian": "normal", "normal": "normal", "loguniform": "log_uniform"}
_KINDS["log_uniform"] = "log_uniform"
_OPERATIONS = ("additive", "scaling", "direct")
_SCHEDULES = ("constant", "linear")
_STEPS = "schedule.steps"


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
    if attribute == _FORCE:
        view.apply_forces(values.to(view._device), rows)
        return
    tensor, part = ATTRIBUTES[kind][attribute]
    if part is not None:
        whole = view._read(f"{kind}{tensor}", rows, None, True)
        parts = (0, 1) if attribute == "joint_friction" else (part,)  # friction at rest and in motion alike
        whole[..., parts] = values.to(whole.device).unsqueeze(-1)
        values = whole
    view._write(f"{kind}{tensor}", attribute, values.to(view._device), rows)


def read(view: Any, kind: str, attribute: str, rows: Tensor | None = None) -> Tensor:
    """Return an attribute of a view, of rows or all; see `write`. A force lasts one step of physics: 0."""
    if attribute == _FORCE:
        return torch.zeros((view.count if rows is None else len(rows), 3), device=view._device)
    tensor, part = ATTRIBUTES[kind][attribute]
    values = view._read(f"{kind}{tensor}", rows, None, True)
    return values if part is None else values[..., part]


@dataclass
class Rule:
    """What is drawn at one time: `operation` on the value, `interval` steps apart where it is not at resets.

    With a `schedule` it comes little by little, as in IsaacGymEnvs: "linear" grows for `schedule_steps` control steps
    of the run, "constant" begins after them.
    """

    operation: str
    distribution: Distribution
    interval: int = 0
    buckets: int = 0
    schedule: str = ""
    schedule_steps: int = 0

    def eased(self, samples: Tensor, steps: Tensor) -> Tensor:
        """Return samples that change as much as the schedule allows after `steps` control steps, ()."""
        if not self.schedule:
            return samples
        part = steps / self.schedule_steps
        part = part.clamp(max=1.0) if self.schedule == "linear" else (part >= 1.0).float()
        neutral = 1.0 if self.operation == "scaling" else 0.0
        return neutral + part.to(samples.device) * (samples - neutral)


class AddedNoise:
    """Noise on observations or actions: the same for an episode (on_reset), and anew every so many steps (on_interval).

    It does the same work in every step and keeps its tensors, so that a captured step can have it.

    Args:
        rules: By "on_reset" and "on_interval".
        shape: Of what it is added to, (num_envs, numbers).
        device: Where that is.
        steps: Control steps of the run so far, () on the device, which its owner counts up; for schedules.
    """

    def __init__(
        self, rules: Mapping[str, Rule], shape: tuple[int, int], device: torch.device, steps: Tensor | None = None
    ) -> None:
        self._rules, self._shape, self._device = rules, shape, device
        self._run_steps = torch.zeros((), device=device) if steps is None else steps
        self._lasting = self._draw(rules["on_reset"]) if "on_reset" in rules else None
        self._steps = torch.zeros(shape[0], dtype=torch.long, device=device)

    def _draw(self, rule: Rule) -> Tensor:
        """Return samples; of two numbers for all, as observations and actions have them."""
        kind, first, second = rule.distribution.kind, rule.distribution.first, rule.distribution.second
        drawn = torch.empty(self._shape, device=self._device)
        if kind == "normal":
            drawn.normal_(first, second)
        elif kind == "uniform":
            drawn.uniform_(first, second)
        else:
            drawn.uniform_(math.log(first), math.log(second)).exp_()
        return rule.eased(drawn, self._run_steps)

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
    """An attribute of a view, and when it is drawn.

    Args:
        view: The view.
        kind: "RIGID_BODY" or "ARTICULATION".
        names: The attribute; several get the same samples, of as many numbers as the first has, or of multiples.
        rules: By times.
        num_envs: Number of environments.
        steps: Control steps of the run so far, ().
        only: Which of its numbers change, (numbers,) bool; None for all.
        onto: What draws the value that this one adds to, if another one does.

    Attributes:
        sampled: What was drawn last, (num_envs, numbers): factors, differences or values, as the rule's operation is.
    """

    def __init__(
        self,
        view: Any,
        kind: str,
        names: tuple[str, ...],
        rules: Mapping[str, Rule],
        num_envs: int,
        steps: Tensor,
        only: Tensor | None = None,
        onto: _Attribute | None = None,
    ) -> None:
        self._view, self._kind, self._names, self._rules = view, kind, names, rules
        self._initial = [read(view, kind, name) for name in names]
        # What the last reset has made of it.
        keeps = "on_interval" in rules or names[0] in _ONTO.values()
        self._base = [value.clone() for value in self._initial] if keeps else self._initial
        self._only, self._onto, self._steps = only, onto, steps
        self._each = view.count // num_envs  # bodies in an environment
        neutral = 1.0 if next(iter(rules.values())).operation == "scaling" else 0.0
        self._numbers = _numbers(names[0], self._initial[0])
        self.sampled = torch.full((num_envs, self._each * self._numbers), neutral, device=view._device)

    @property
    def interval(self) -> int:
        """Steps from one draw of on_interval to the next; 0 without such."""
        return self._rules["on_interval"].interval if "on_interval" in self._rules else 0

    def draw(self, time: str, env_ids: Tensor) -> None:
        """Draw for environments, (M,), if there is a rule for that time."""
        rule = self._rules.get(time)
        if rule is None or not len(env_ids):
            return
        rows = rows_of(env_ids, self._each).to(self._initial[0].device)
        samples = self._samples(rule, len(rows))
        if time != "on_interval":
            self.sampled[env_ids] = samples.to(self.sampled.device).reshape(len(env_ids), -1)
        self._put(rule, time, rows, samples)

    @property
    def comes_back(self) -> bool:
        """Whether `sampled` says all of what it is now; what was drawn at the start is drawn anew by a resume."""
        return [*self._rules] == ["on_reset"] and self._names[0] not in MOVING

    def put_back(self) -> None:
        """Write what `sampled` says for all environments, as it was restored."""
        rows = torch.arange(self._view.count, device=self._initial[0].device)
        samples = self.sampled.reshape(len(rows), -1).to(rows.device)
        self._put(self._rules["on_reset"], "on_reset", rows, samples)

    def _put(self, rule: Rule, time: str, rows: Tensor, samples: Tensor) -> None:
        """Write what samples, (rows, numbers), make of the attribute."""
        for index, name in enumerate(self._names):
            start = self._start(index, time, rows)
            wide = samples.repeat_interleave(start[0].numel() // samples.shape[1], dim=1)
            values = combine(rule.operation, start, wide.view(start.shape))
            if time != "on_interval" and self._base is not self._initial:
                self._base[index][rows] = values
            if time == "on_startup":
                self._initial[index][rows] = values
            write(self._view, self._kind, name, values, rows)

    def _start(self, index: int, time: str, rows: Tensor) -> Tensor:
        """Return what samples are combined with."""
        if self._names[index] in MOVING:
            return read(self._view, self._kind, self._names[index], rows)
        if self._onto is not None:
            return self._onto._base[index][rows]
        return (self._base if time == "on_interval" else self._initial)[index][rows]

    def _samples(self, rule: Rule, rows: int) -> Tensor:
        """Return samples, (rows, numbers), that change nothing where nothing is to change."""
        device = self._initial[0].device
        samples = rule.distribution.draw(rule.buckets or rows, device, self._numbers)
        if rule.buckets:
            samples = samples[torch.randint(rule.buckets, (rows,), device=device)]
        samples = rule.eased(samples, self._steps)
        if self._only is None:
            return samples
        return torch.where(self._only.to(device), samples, 1.0 if rule.operation == "scaling" else 0.0)


class Randomizer:
    """What a task's YAML asks for, checked and ready.

    Args:
        task: The task, whose physics runs.
        params: `randomization_params`.
        settings: What stands beside them: `min_frequency` (steps at least from one draw at a reset to the next of the
            same environment), `batch` (steps that resets are gathered for, as writing them to physics costs much the
            same however many they are), `observed` and `logged`.

    Attributes:
        sampled: What was drawn last by name, such as "robots.body_masses" or "latency.actions", (num_envs, numbers).
        observed: Names of what the critic sees of that.
        logged: Names of what is logged of it, as means.

    Raises:
        MyriadError: If a key is unknown or not supported, or a distribution does not fit.
    """

    def __init__(self, task: RLTask, params: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> None:
        self._num_envs, self._task = task.num_envs, task
        self._actions: list[AddedNoise | Delay] = []
        self._observations: list[AddedNoise | Delay | Sensors] = []
        self._attributes: dict[str, _Attribute] = {}
        self.sampled: dict[str, Tensor] = {}
        self._run_steps = torch.zeros((), device=task.device)  # counted on the device, as captured steps need it
        known = {"observations", "actions", "latency", "sensors", *_VIEWS}
        for name, given in params.items():
            if given is not None and name not in known:
                _refuse(name, known, " (PhysX takes gravity once)" if name == "simulation" else "")
            if name in _VIEWS:
                for view_name, attributes in (given or {}).items():
                    self._take_view(name, view_name, attributes or {})
        self._take_readings({name: given for name, given in params.items() if given is not None})
        self.sampled |= {name: attribute.sampled for name, attribute in self._attributes.items()}
        settings = settings or {}
        self._batch, self._least = _count(settings, "batch", 1), _count(settings, "min_frequency", 0)
        self.observed, self.logged = (self._known(settings, key) for key in ("observed", "logged"))
        # Who has begun an episode and waits for new numbers, and for how many steps who has had his.
        self._waiting = torch.zeros(self._num_envs, dtype=torch.bool, device=task.device)
        due = [name for name, attribute in self._attributes.items() if attribute.interval]
        self._due = {name: torch.zeros_like(self._waiting) for name in due}
        self._ages = torch.full((self._num_envs,), self._least, device=task.device)
        self._step = 0
        # Whose next observation is the first of an episode.
        self._begins = torch.ones(self._num_envs, dtype=torch.bool, device=task.device)
        everywhere = torch.arange(self._num_envs, device=task.device)
        with self._together():
            for attribute in self._attributes.values():
                attribute.draw("on_startup", everywhere)

    def _known(self, settings: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """Return the samples that a setting names."""
        for name in settings.get(key) or ():
            if name not in self.sampled:
                known = ", ".join(self.sampled) or "nothing"
                raise MyriadError(f"domain_randomization.{key}: {name} is not drawn; what is: {known}.")
        return tuple(settings.get(key) or ())

    def _take_readings(self, params: Mapping[str, Any]) -> None:
        """Take what becomes of observations and actions, in the order in which it happens to them."""
        task, latency = self._task, params.get("latency", {})
        widths = {"observations": task.num_observations, "actions": task.num_actions}
        if unknown := sorted(set(latency) - set(widths)):
            _refuse(f"latency.{unknown[0]}", widths)
        wanted = [name for name in ("observations", "sensors") if name in params]
        wanted += ["latency"] if "observations" in latency else []
        if wanted and isinstance(task.obs_buf, dict):
            raise MyriadError(f"{KEY}.{wanted[0]}: task {task.name} observes pictures, which get no noise yet.")
        if "sensors" in params:
            terms = [term for term in task.observation_terms() if isinstance(term, ObservationTerm)]
            sensors = Sensors(params["sensors"], terms, task.num_envs, task.device, f"{KEY}.sensors")
            self._observations.append(sensors)
            self.sampled["sensors"] = sensors.bias
        for name, changes in (("observations", self._observations), ("actions", self._actions)):
            shape = (task.num_envs, widths[name])
            if name in params:
                rules = _rules(name, params[name], None, ("on_reset", "on_interval"))
                changes.append(AddedNoise(rules, shape, task.device, self._run_steps))
            if name in latency:
                least, most = span(f"{KEY}.latency.{name}", latency[name], 0.0)
                delay = Delay(least, most, shape, task.device, from_rest=name == "actions")
                changes.append(delay)
                self.sampled[f"latency.{name}"] = delay.steps

    def _take_view(self, group: str, view_name: str, attributes: Mapping[str, Any]) -> None:
        scene, kind = self._task.world.scene, _VIEWS[group]
        views: Mapping[str, Any] = scene.robots() if kind == "ARTICULATION" else scene.bodies()
        if view_name not in views:
            _refuse(f"{group}.{view_name}", views)
        if self._task.world.name != "physx":
            raise MyriadError(
                f"{KEY}.{group} needs engine=physx; with others, what changes observations and actions works."
            )
        for name in sorted(attributes, key=lambda name: name in _ONTO):  # what adds to others comes behind them
            key = f"{group}.{view_name}.{name}"
            self._attributes[f"{view_name}.{name}"] = self._attribute(views[view_name], kind, name, key, attributes)

    def _attribute(self, view: Any, kind: str, name: str, key: str, attributes: Mapping[str, Any]) -> _Attribute:
        together, onto = TOGETHER[kind], _ONTO if kind == "ARTICULATION" else {}
        known = {*ATTRIBUTES[kind], *together, *onto}
        if name not in known:
            _refuse(key, known)
        names = together.get(name, (onto.get(name, name),))
        if name in together and (both := [other for other in names if other in attributes]):
            raise MyriadError(f"{KEY}.{key} changes {both[0]}, which is drawn by itself: leave one of them out.")
        if "TENDON" in ATTRIBUTES[kind][names[0]][0] and not view.num_fixed_tendons:
            raise MyriadError(f"{KEY}.{key}: the robot has no tendons.")
        if {"stiffness", "damping"} & {*names} and getattr(view, "motors", None) is not None:
            raise MyriadError(f"{KEY}.{key}: motors of kind pd are not PhysX's, and their gains are not drawn yet.")
        given = attributes[name]
        patterns = given.get("names") if isinstance(given, Mapping) else None
        given = {time: rule for time, rule in given.items() if time != "names"} if patterns else given
        first = torch.zeros(1, dtype=torch.long, device=self._task.device)
        numbers = _numbers(names[0], read(view, kind, names[0], first))
        rules = _rules(key, given, numbers, _TIMES)
        wanted = "scaling" if name in together or name in _MATRICES else "additive" if name in onto else ""
        for time, rule in rules.items():
            if wanted and rule.operation != wanted:
                raise MyriadError(f"{KEY}.{key}.{time}.operation={rule.operation} is invalid: {name} is {wanted}.")
        only = _matching(key, view, names[0], numbers, patterns) if patterns else None
        adds_to = self._attributes.get(f"{view.name}.{onto[name]}") if name in onto else None
        return _Attribute(view, kind, names, rules, self._num_envs, self._run_steps, only, adds_to)

    @contextlib.contextmanager
    def _together(self) -> Iterator[None]:
        """Send what is written meanwhile at once."""
        capture = self._task.world.capture
        with capture.together() if self._attributes and capture is not None else contextlib.nullcontext():
            yield

    def before_step(self, actions: Tensor) -> Tensor:
        """Draw what is due before physics, and return the actions as they arrive at the robots.

        Where `reset_buf` is not 0 a new episode begins with this step.
        """
        began = self._task.reset_buf.bool()
        self._run_steps += 1
        if self._attributes:
            with self._together():
                self._draw(began)
        for change in self._actions:
            actions = change(actions, began)
        return actions

    def _draw(self, began: Tensor) -> None:
        self._step += 1
        self._ages += 1
        self._waiting |= began & (self._ages > self._least)
        steps = self._task.progress_buf.masked_fill(began, 0)  # an episode that begins now is at its step 0
        for name, due in self._due.items():
            due &= ~began
            due |= (steps > 0) & (steps % self._attributes[name].interval == 0)
        if self._step % self._batch:
            return
        # The one place where the host waits to be told whose turn it is.
        env_ids = self._waiting.nonzero().squeeze(-1)
        self._ages.masked_fill_(self._waiting, 0)
        self._waiting.zero_()
        for attribute in self._attributes.values():
            attribute.draw("on_reset", env_ids)
        for name, due in self._due.items():
            self._attributes[name].draw("on_interval", due.nonzero().squeeze(-1))
            due.zero_()

    @property
    def reads(self) -> bool:
        """Whether observations are changed."""
        return bool(self._observations)

    def read(self, observations: Tensor) -> Tensor:
        """Return what sensors say of observations, (num_envs, num_observations), after physics."""
        ended = self._task.reset_buf.bool()
        for change in self._observations:
            # Noise for an episode is drawn with the last observation before it, all else with its first.
            observations = change(observations, ended if isinstance(change, AddedNoise) else self._begins)
        self._begins.copy_(ended)
        return observations

    def for_critic(self) -> Tensor | None:
        """Return what the critic sees of the samples, (num_envs, numbers); None for nothing."""
        return torch.cat([self.sampled[name] for name in self.observed], dim=-1) if self.observed else None

    def means(self) -> dict[str, Tensor]:
        """Return the means of the samples that are logged."""
        return {f"randomized/{name}": self.sampled[name].mean() for name in self.logged}

    def get_state(self) -> dict[str, Tensor]:
        """Return what has been drawn, by name."""
        return {name: value.clone() for name, value in self.sampled.items()} | {_STEPS: self._run_steps.clone()}

    def set_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what had been drawn, in physics as well; what has another name or size is left alone."""
        if _STEPS in state:
            self._run_steps.copy_(state[_STEPS])
        with self._together():
            for name, now in self.sampled.items():
                attribute, before = self._attributes.get(name), state.get(name)
                if before is None or before.shape != now.shape or not (attribute is None or attribute.comes_back):
                    continue
                now.copy_(before)
                if attribute is not None:
                    attribute.put_back()


def _numbers(name: str, values: Tensor) -> int:
    """Return how many samples an attribute's row, of values (rows, ...), is made from."""
    return values[0].numel() // (9 if name in _MATRICES else 1)


def _count(settings: Mapping[str, Any], key: str, least: int) -> int:
    value = settings.get(key, least)
    if not isinstance(value, int) or value < least:
        raise MyriadError(f"domain_randomization.{key}={value} is invalid: it must be a whole number from {least} on.")
    return value


def _matching(key: str, view: Any, attribute: str, numbers: int, patterns: Any) -> Tensor:
    """Return which numbers of an attribute belong to bodies or joints whose names match, (numbers,) bool."""
    names = view.body_names if attribute.startswith("body") else view.dof_names
    patterns = [patterns] if isinstance(patterns, str) else patterns
    found = [any(fnmatchcase(name, str(pattern)) for pattern in patterns) for name in names]
    if not any(found) or numbers % len(names):
        raise MyriadError(f"{KEY}.{key}.names={patterns} matches none of: {', '.join(names)}.")
    return torch.tensor(found).repeat_interleave(numbers // len(names))


def make_randomizer(task: RLTask) -> Randomizer | None:
    """Return what a task's YAML asks for, None where `domain_randomization` is missing or off."""
    given = task.task_config.get("domain_randomization") or {}
    known = ("randomize", "randomization_params", "min_frequency", "batch", "observed", "logged")
    if unknown := sorted(set(given) - set(known)):
        raise MyriadError(f"domain_randomization.{unknown[0]} is unknown; it has {', '.join(known)}.")
    params = given.get("randomization_params")
    return Randomizer(task, params, given) if given.get("randomize") and params else None


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
        optional |= set() if time == "on_startup" else {"schedule", "schedule_steps"}
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
        schedule, steps = values.get("schedule") or "", values.get("schedule_steps", 0)
        if schedule and (schedule not in _SCHEDULES or operation == "direct"):
            _refuse(
                f"{here}.schedule={schedule}", _SCHEDULES, " with operation=direct" if operation == "direct" else ""
            )
        if schedule and (not isinstance(steps, int) or steps < 1):
            raise MyriadError(f"{KEY}.{here}.schedule_steps={steps} is invalid: it must be a whole number from 1 on.")
        interval = int(values.get("frequency_interval", 0))
        distribution = Distribution(_KINDS[kind], *parameters)
        rules[time] = Rule(operation, distribution, interval, values.get("num_buckets", 0), schedule, steps)
    return rules


def _refuse(key: str, known: Iterable[str], why: str = "") -> NoReturn:
    raise MyriadError(f"{KEY}.{key} is not supported{why}; what is: {', '.join(sorted(known)) or 'none'}.")
