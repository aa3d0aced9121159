# SPDX-License-Identifier: Apache-2.0
"""Domain randomization as OmniIsaacGymEnvs' tasks write it in their YAML, under `domain_randomization`.

Observations and actions get noise. What bodies and robots are like (`properties.py`) is drawn for the environments that
start again, or that are due, and written in one batch; PhysX keeps most of it on the host, so that the environments'
numbers are asked for once in a step in which any of it is randomized. Where they are and how they move is changed once
the task has reset and acted.
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

from omni.myriad.engine.base import Engine, rows_of
from omni.myriad.errors import MyriadError
from omni.myriad.task import properties
from omni.myriad.task.imperfect import Delay, Sensors, span
from omni.myriad.task.properties import (
    MATRICES,
    MOVING,
    NAMES,
    ONTO,
    SCALE,
    TOGETHER,
    combine,
    combine_matrices,
)
from omni.myriad.task.terms import ObservationTerm

if TYPE_CHECKING:
    from omni.myriad.task.rl_task import RLTask

KEY = "domain_randomization.randomization_params"
_VIEWS = {"rigid_prim_views": "RIGID_BODY", "articulation_views": "ARTICULATION"}
_TIMES = ("on_reset", "on_interval", "on_startup")
_KINDS = {"uniform": "uniform", "gaussian": "normal", "normal": "normal", "loguniform": "log_uniform"}
_KINDS["log_uniform"] = "log_uniform"
_EFFORTS = "joint_efforts"
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
        engine: The engine.
        view: The view.
        kind: "RIGID_BODY" or "ARTICULATION".
        names: The attribute; several get the same samples, of as many numbers as the first has, or of multiples.
        rules: By times.
        numbers: How many samples a row of the view has.
        steps: Control steps of the run so far, ().
        only: Which of its numbers change, (numbers,) bool; None for all.
        onto: What draws the value that this one adds to, if another one does.
        densities: In kg/m^3, (rows, 1), where it is these that samples change, and all follows in proportion.

    Attributes:
        moves: Whether it changes as time goes on, and is drawn once the task has acted.
        sampled: What was drawn last, (num_envs, numbers): factors, differences or values, as the rule's operation is.

    Raises:
        NotImplementedError: If the engine cannot change it.
    """

    def __init__(
        self,
        engine: Engine,
        view: Any,
        kind: str,
        names: tuple[str, ...],
        rules: Mapping[str, Rule],
        numbers: int,
        steps: Tensor,
        only: Tensor | None = None,
        onto: _Attribute | None = None,
        densities: Tensor | None = None,
    ) -> None:
        self._engine, self._view, self._kind, self._names, self._rules = engine, view, kind, names, rules
        self.moves = names[0] in MOVING[kind]
        self._initial = [properties.read(engine, view, kind, name) for name in names]
        if not self.moves:
            nobody = torch.zeros(0, dtype=torch.long, device=self._initial[0].device)
            for name, values in zip(names, self._initial, strict=True):
                properties.write(
                    engine, view, kind, name, values[:0], nobody
                )  # to hear now whether the engine takes it
        # What the last reset has made of it.
        keeps = "on_interval" in rules or names[0] in ONTO.values()
        self._base = [value.clone() for value in self._initial] if keeps else self._initial
        self._only, self._onto, self._steps, self._densities = only, onto, steps, densities
        self._each = view.count // engine.num_envs  # bodies in an environment
        neutral = 1.0 if next(iter(rules.values())).operation == "scaling" else 0.0
        self._numbers = numbers
        self.sampled = torch.full((engine.num_envs, self._each * numbers), neutral, device=engine.device)

    def interval(self) -> int:
        """Return the steps from one draw of on_interval to the next; 0 without such."""
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
    def has_resets(self) -> bool:
        """Whether it is drawn at resets."""
        return "on_reset" in self._rules

    @property
    def comes_back(self) -> bool:
        """Whether `sampled` says all of what it is now; what was drawn at the start is drawn anew by a resume."""
        return [*self._rules] == ["on_reset"] and not self.moves

    def put_back(self) -> None:
        """Write what `sampled` says for all environments, as it was restored."""
        rows = torch.arange(self._view.count, device=self._initial[0].device)
        samples = self.sampled.reshape(len(rows), -1).to(rows.device)
        self._put(self._rules["on_reset"], "on_reset", rows, samples)

    def _put(self, rule: Rule, time: str, rows: Tensor, samples: Tensor) -> None:
        """Write what samples, (rows, numbers), make of the attribute."""
        operation = rule.operation
        if self._densities is not None:
            densities = self._densities[rows]
            operation, samples = "scaling", combine(operation, densities, samples) / densities
        for index, name in enumerate(self._names):
            start = self._start(index, time, rows)
            values = self._combined(operation, name, start, samples)
            if time != "on_interval" and self._base is not self._initial:
                self._base[index][rows] = values
            if time == "on_startup":
                self._initial[index][rows] = values
            properties.write(self._engine, self._view, self._kind, name, values, rows)

    def _combined(self, operation: str, name: str, start: Tensor, samples: Tensor) -> Tensor:
        """Return what samples make of values, which stay as they are where nothing is to change."""
        bodies = start[0].numel() // 9
        if name in MATRICES and self._numbers == 3 * bodies:
            return combine_matrices(operation, start, samples.view(*start.shape[:-1], 3))
        each = start[0].numel() // samples.shape[1]
        values = combine(operation, start, samples.repeat_interleave(each, dim=1).view(start.shape))
        if self._only is None:
            return values
        changes = self._only.to(start.device).repeat_interleave(each)
        return torch.where(changes.view(start.shape[1:]), values, start)

    def _start(self, index: int, time: str, rows: Tensor) -> Tensor:
        """Return what samples are combined with."""
        if self.moves:
            return properties.read(self._engine, self._view, self._kind, self._names[index], rows)
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


class _Gravity:
    """Gravity of the whole scene: drawn when any environment starts again, and after so many steps of the run.

    Args:
        engine: The engine.
        rules: By times.
        steps: Control steps of the run so far, ().

    Attributes:
        sampled: What was drawn last, (num_envs, 3), the same for all.
    """

    def __init__(self, engine: Engine, rules: Mapping[str, Rule], steps: Tensor) -> None:
        self._engine, self._rules, self._steps = engine, rules, steps
        self._initial = self._base = engine.get_gravity()
        neutral = 1.0 if next(iter(rules.values())).operation == "scaling" else 0.0
        self.sampled = torch.full((engine.num_envs, 3), neutral, device=engine.device)

    def after(self, steps: int) -> None:
        """Draw what is due after so many control steps."""
        if "on_interval" in self._rules and steps % self._rules["on_interval"].interval == 0:
            self.draw("on_interval")

    def draw(self, time: str) -> None:
        """Draw for all, if there is a rule for that time."""
        rule = self._rules.get(time)
        if rule is None:
            return
        self.sampled[:] = rule.eased(rule.distribution.draw(1, torch.device("cpu"), 3), self._steps).to(
            self.sampled.device
        )
        self._put(rule, time)

    @property
    def comes_back(self) -> bool:
        """Whether `sampled` says all of what it is now."""
        return len(self._rules) == 1

    def put_back(self) -> None:
        """Write what `sampled` says, as it was restored."""
        ((time, rule),) = self._rules.items()
        self._put(rule, time)

    def _put(self, rule: Rule, time: str) -> None:
        start = self._base if time == "on_interval" else self._initial
        gravity = combine(rule.operation, start, self.sampled[0].cpu())
        if time != "on_interval":
            self._base = gravity
        self._engine.set_gravity(gravity)


class _Efforts:
    """Efforts on top of what a task commands: for an episode (on_reset), and for a single step (on_interval).

    It asks nobody whose turn it is: what is drawn goes through masks.

    Args:
        view: The robots.
        rules: By times.
        steps: Control steps of the run so far, ().

    Attributes:
        sampled: What was drawn for the episodes, (num_envs, num_dof).
    """

    def __init__(self, view: Any, rules: Mapping[str, Rule], steps: Tensor) -> None:
        self._view, self._rules, self._steps = view, rules, steps
        self._commanded: Tensor | None = None
        self.sampled = torch.zeros_like(view.get_applied_joint_efforts())
        self._has = torch.zeros((len(self.sampled), 1), dtype=torch.bool, device=self.sampled.device)

    @property
    def comes_back(self) -> bool:
        """Whether `sampled` says all of what it is: that of an episode."""
        return True

    def put_back(self) -> None:
        """Do nothing: it is added in every step."""
        self._has.fill_("on_reset" in self._rules)

    def take_back(self) -> None:
        """Leave only what the task has commanded, before it acts: it may not command efforts at all."""
        if self._commanded is not None:
            self._view.set_joint_efforts(self._commanded)

    def apply(self, starting: Tensor, progress: Tensor) -> None:
        """Add what is drawn.

        Args:
            starting: Whose turn it is at a reset, (num_envs,) bool.
            progress: Steps of the episodes so far, (num_envs,).
        """
        self._commanded = efforts = self._view.get_applied_joint_efforts()
        if "on_reset" in self._rules:
            rule, starting = self._rules["on_reset"], starting.unsqueeze(-1)
            torch.where(starting, self._draw(rule), self.sampled, out=self.sampled)
            self._has |= starting
            efforts = torch.where(self._has, combine(rule.operation, efforts, self.sampled), efforts)
        if "on_interval" in self._rules:
            rule = self._rules["on_interval"]
            due = ((progress > 0) & (progress % rule.interval == 0)).unsqueeze(-1)
            efforts = torch.where(due, combine(rule.operation, efforts, self._draw(rule)), efforts)
        self._view.set_joint_efforts(efforts)

    def _draw(self, rule: Rule) -> Tensor:
        rows, numbers = self.sampled.shape
        return rule.eased(rule.distribution.draw(rows, self.sampled.device, numbers), self._steps)


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
        self._gravity: _Gravity | None = None
        self._efforts: dict[str, _Efforts] = {}
        self._rules: dict[tuple[str, ...], tuple[Rule, int | None]] = {}  # by where they stand, with how many numbers
        self.sampled: dict[str, Tensor] = {}
        self._run_steps = torch.zeros((), device=task.device)  # counted on the device, as captured steps need it
        known = {"observations", "actions", "latency", "sensors", "simulation", *_VIEWS}
        for name, given in params.items():
            if given is not None and name not in known:
                _refuse(name, known)
            if name == "simulation" and given is not None:
                self._take_world(given)
            if name in _VIEWS:
                for view_name, attributes in (given or {}).items():
                    self._take_view(name, view_name, attributes or {})
        self._take_readings({name: given for name, given in params.items() if given is not None})
        self.sampled |= {name: attribute.sampled for name, attribute in self._drawn().items()}
        self._initial = {path: _parameters(rule) for path, (rule, _) in self._rules.items()}
        settings = settings or {}
        self._batch, self._least = _count(settings, "batch", 1), _count(settings, "min_frequency", 0)
        self.observed, self.logged = (self._known(settings, key) for key in ("observed", "logged"))
        # Who has begun an episode and waits for new numbers, and for how many steps who has had his.
        self._waiting = torch.zeros(self._num_envs, dtype=torch.bool, device=task.device)
        self._starting = torch.zeros_like(self._waiting)
        due = [name for name, attribute in self._attributes.items() if attribute.interval()]
        self._due = {name: torch.zeros_like(self._waiting) for name in due}
        self._ages = torch.full((self._num_envs,), self._least, device=task.device)
        self._step, self._is_turn = 0, False
        self._progress = torch.zeros_like(self._ages)
        self._drawn_of_views = bool(self._drawn())
        self._moving = {name: attribute for name, attribute in self._attributes.items() if attribute.moves}
        # Whose next observation is the first of an episode.
        self._begins = torch.ones(self._num_envs, dtype=torch.bool, device=task.device)
        everywhere = torch.arange(self._num_envs, device=task.device)
        with self._together():
            for attribute in self._attributes.values():
                attribute.draw("on_startup", everywhere)
        if self._gravity is not None:
            self._gravity.draw("on_startup")

    def _drawn(self) -> dict[str, _Attribute | _Efforts | _Gravity]:
        """Return all that is drawn of views and of the world."""
        drawn: dict[str, _Attribute | _Efforts | _Gravity] = {**self._attributes, **self._efforts}
        return drawn if self._gravity is None else drawn | {"simulation.gravity": self._gravity}

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
                rules = self._noted((name,), None, ("on_reset", "on_interval"), params[name])
                changes.append(AddedNoise(rules, shape, task.device, self._run_steps))
            if name in latency:
                least, most = span(f"{KEY}.latency.{name}", latency[name], 0.0)
                delay = Delay(least, most, shape, task.device, from_rest=name == "actions")
                changes.append(delay)
                self.sampled[f"latency.{name}"] = delay.steps

    def _noted(self, path: tuple[str, ...], numbers: int | None, times: tuple[str, ...], given: Any) -> dict[str, Rule]:
        """Return the rules that stand somewhere, and remember them; see `_rules`."""
        rules = _rules(".".join(path), given, numbers, times)
        self._rules |= {(*path, time): (rule, numbers) for time, rule in rules.items()}
        return rules

    def _take_world(self, given: Mapping[str, Any]) -> None:
        for name in given:
            if name not in NAMES["SIMULATION"]:
                _refuse(f"simulation.{name}", NAMES["SIMULATION"])
            rules = self._noted(("simulation", name), 3, _TIMES, given[name])
            self._gravity = _Gravity(self._task.world, rules, self._run_steps)

    def _take_view(self, group: str, view_name: str, attributes: Mapping[str, Any]) -> None:
        scene, kind = self._task.world.scene, _VIEWS[group]
        views: Mapping[str, Any] = scene.robots() if kind == "ARTICULATION" else scene.bodies()
        if view_name not in views:
            _refuse(f"{group}.{view_name}", views)
        for name in sorted(attributes, key=lambda name: name in ONTO):  # what adds to others comes behind them
            if name == SCALE:
                self.sampled[f"{view_name}.{SCALE}"] = self._task.scales[view_name].unsqueeze(-1)
                continue
            path, view = (group, view_name, name), views[view_name]
            try:
                if name == _EFFORTS:
                    self._take_efforts(view, path, attributes[name])
                else:
                    self._attributes[f"{view_name}.{name}"] = self._attribute(view, kind, path, attributes)
            except NotImplementedError as error:
                raise MyriadError(f"{KEY}.{'.'.join(path)}: {error}") from None

    def _take_efforts(self, view: Any, path: tuple[str, ...], given: Any) -> None:
        if self._task.drives_motors:
            raise MyriadError(f"{KEY}.{'.'.join(path)}: motors of kind pd say their efforts in each step of physics.")
        rules = self._noted(path, view.num_dof, ("on_reset", "on_interval"), given)
        self._efforts[f"{view.name}.{_EFFORTS}"] = _Efforts(view, rules, self._run_steps)

    def _attribute(self, view: Any, kind: str, path: tuple[str, ...], attributes: Mapping[str, Any]) -> _Attribute:
        key, name = ".".join(path), path[-1]
        together, onto = TOGETHER[kind], ONTO if kind == "ARTICULATION" else {}
        known = {*NAMES[kind], *together, *onto}
        if name not in known:
            _refuse(key, known)
        names = together.get(name, (onto.get(name, name),))
        if name in together and (both := [other for other in names if other in attributes]):
            raise MyriadError(f"{KEY}.{key} changes {both[0]}, which is drawn by itself: leave one of them out.")
        if names[0].startswith("tendon") and not view.num_fixed_tendons:
            raise MyriadError(f"{KEY}.{key}: the robot has no tendons.")
        if "max_efforts" in names and getattr(view, "motors", None) is not None:
            raise MyriadError(f"{KEY}.{key}: limits of motors of kind pd are not drawn: draw stiffness and damping.")
        given = attributes[name]
        patterns = given.get("names") if isinstance(given, Mapping) else None
        given = {time: rule for time, rule in given.items() if time != "names"} if patterns else given
        first = torch.zeros(1, dtype=torch.long, device=self._task.device)
        values = properties.read(self._task.world, view, kind, names[0], first)
        numbers = _numbers(names[0], values, given)
        rules = self._noted(path, numbers, ("on_reset", "on_interval") if name in MOVING[kind] else _TIMES, given)
        wanted, densities = "scaling" if name in together else "additive" if name in onto else "", None
        if name == "density" and kind == "RIGID_BODY" and any(rule.operation != "scaling" for rule in rules.values()):
            wanted, densities = "", view.get_densities().unsqueeze(-1)
            if not bool((densities > 0.0).all()):
                raise MyriadError(f"{KEY}.{key}: no density is authored for {view.name}: use operation: scaling.")
        for time, rule in rules.items():
            if wanted and rule.operation != wanted:
                raise MyriadError(f"{KEY}.{key}.{time}.operation={rule.operation} is invalid: {name} is {wanted}.")
        only = _matching(key, view, names[0], numbers, patterns) if patterns else None
        adds_to = self._attributes.get(f"{view.name}.{onto[name]}") if name in onto else None
        world = self._task.world
        return _Attribute(world, view, kind, names, rules, numbers, self._run_steps, only, adds_to, densities)

    # -- distributions, by OmniIsaacGymEnvs' names ---------------------------------------------------------------------

    def get_dr_distribution_parameters(self, *path: str) -> np.ndarray:
        """Return the two parameters of a distribution as they are, by where it stands.

        Args:
            path: Such as "observations", "on_reset", or "articulation_views", "robots", "stiffness", "on_interval".

        Raises:
            MyriadError: If there is none.
        """
        return _parameters(self._rule(path)[0])

    def get_initial_dr_distribution_parameters(self, *path: str) -> np.ndarray:
        """Return the two parameters of a distribution that the YAML says."""
        self._rule(path)
        return self._initial[path].copy()

    def set_dr_distribution_parameters(self, distribution_parameters: Any, *path: str) -> None:
        """Change the two parameters of a distribution, for what is drawn from now on.

        Raises:
            MyriadError: If there is none, or they do not fit.
        """
        rule, numbers = self._rule(path)
        _check_parameters(".".join(path), rule.distribution.kind, distribution_parameters, numbers)
        rule.distribution.first, rule.distribution.second = distribution_parameters

    def _rule(self, path: tuple[str, ...]) -> tuple[Rule, int | None]:
        if path not in self._rules:
            _refuse(".".join(path), [".".join(known) for known in self._rules])
        return self._rules[path]

    # -- steps ---------------------------------------------------------------------------------------------------------

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
        if self._drawn_of_views:
            with self._together():
                self._draw(began)
        if self._gravity is not None:
            self._gravity.after(self._step)
        for efforts in self._efforts.values():
            efforts.take_back()
        for change in self._actions:
            actions = change(actions, began)
        return actions

    def _draw(self, began: Tensor) -> None:
        self._step += 1
        self._ages += 1
        torch.logical_and(began, self._ages > self._least, out=self._starting)
        self._waiting |= self._starting
        self._progress = self._task.progress_buf.masked_fill(began, 0)  # who begins now is at step 0
        for name, due in self._due.items():
            due &= ~began
            due |= (self._progress > 0) & (self._progress % self._attributes[name].interval() == 0)
        self._is_turn = self._step % self._batch == 0
        if not self._is_turn:
            return
        # The one place where the host waits to be told whose turn it is, but for what moves.
        env_ids = self._waiting.nonzero().squeeze(-1)
        self._ages.masked_fill_(self._waiting, 0)
        self._waiting.zero_()
        for name, attribute in self._attributes.items():
            if not attribute.moves:
                attribute.draw("on_reset", env_ids)
                self._draw_due(name)
        if self._gravity is not None and len(env_ids):
            self._gravity.draw("on_reset")

    def _draw_due(self, name: str) -> None:
        if name in self._due:
            self._attributes[name].draw("on_interval", self._due[name].nonzero().squeeze(-1))
            self._due[name].zero_()

    def after_actions(self) -> None:
        """Change where robots and bodies are, how they move and what pushes them, once the task has acted."""
        if any(attribute.has_resets for attribute in self._moving.values()):
            env_ids = self._starting.nonzero().squeeze(-1)
            for attribute in self._moving.values():
                attribute.draw("on_reset", env_ids)
        for name in self._moving if self._is_turn else ():
            self._draw_due(name)
        for efforts in self._efforts.values():
            efforts.apply(self._starting, self._progress)

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
                drawn, before = self._drawn().get(name), state.get(name)
                if before is None or before.shape != now.shape:
                    continue
                if drawn is not None and not drawn.comes_back:
                    continue
                now.copy_(before)
                if drawn is not None:
                    drawn.put_back()


def _numbers(name: str, values: Tensor, given: Any) -> int:
    """Return how many samples an attribute's row, of values (rows, ...), is made from.

    A matrix has three, those of its diagonal, but where one factor scales all of it.
    """
    if name not in MATRICES:
        return values[0].numel()
    bodies, rules = values[0].numel() // 9, [rule for rule in given.values() if isinstance(rule, Mapping)]
    sizes = {np.size(part) for rule in rules for part in rule.get("distribution_parameters") or ()}
    whole = all(rule.get("operation") == "scaling" for rule in rules) and sizes <= {1, bodies} - {3}
    return bodies if whole else 3 * bodies


def _parameters(rule: Rule) -> np.ndarray:
    return np.array([rule.distribution.first, rule.distribution.second])


def _check_parameters(here: str, kind: str, parameters: Any, numbers: int | None) -> None:
    """Refuse parameters of a distribution that do not fit numbers; None for two numbers alone."""
    sizes = {np.size(part) for part in parameters}
    fits = len(parameters) == 2 and len(sizes) == 1 and (sizes == {1} or (numbers and numbers % max(sizes) == 0))
    if not fits or (kind.startswith("log") and np.min(parameters) <= 0.0):
        many = f" or two lists of {numbers}" if numbers else ""
        raise MyriadError(f"{KEY}.{here}.distribution_parameters={parameters} must be two numbers{many}, or above 0.")


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


def scale_at_startup(task: RLTask) -> None:
    """Draw the sizes that a task's YAML asks for, before physics starts, and note them in `task.scales`.

    Raises:
        MyriadError: If the engine cannot have environments of different sizes, or a view is unknown.
    """
    given = task.task_config.get("domain_randomization") or {}
    params = (given.get("randomization_params") or {}) if given.get("randomize") else {}
    for group, kind in _VIEWS.items():
        for view_name, attributes in (params.get(group) or {}).items():
            if SCALE not in (attributes or {}):
                continue
            key, scene = f"{group}.{view_name}.{SCALE}", task.world.scene
            views: Mapping[str, Any] = scene.robots() if kind == "ARTICULATION" else scene.bodies()
            if view_name not in views:
                _refuse(f"{group}.{view_name}", views)
            rule = _rules(key, attributes[SCALE], 1, ("on_startup",))["on_startup"]
            drawn = rule.distribution.draw(task.num_envs, torch.device("cpu"), 1)
            factors = combine(rule.operation, torch.ones_like(drawn), drawn).squeeze(-1)
            if not bool((factors > 0.0).all()):
                raise MyriadError(f"{KEY}.{key} draws sizes that are not above 0.")
            try:
                task.world.scale_environments(views[view_name], factors)
            except MyriadError as error:
                raise MyriadError(f"{KEY}.{key}: {error}") from None
            task.scales[view_name] = factors.to(task.device)


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
        _check_parameters(here, kind, parameters, numbers)
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
