# SPDX-License-Identifier: Apache-2.0
"""What domain randomization asks of omni.replicator: draw properties of views at resets and at intervals.

Noise on observations and actions is its own code, and not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from omni.myriad.task.properties import GRAVITY, MOVING, NAMES, combine, read, write
from omni.myriad.task.randomization import Distribution


@dataclass
class _Rule:
    view: Any
    attribute: str
    distribution: Distribution
    operation: str
    interval: int | None  # in steps; None for resets


class PhysicsView:
    """`omni.replicator.isaac.physics_view`: the views, what they had at first, and the rules."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget views and rules of an earlier task."""
        self._views: dict[str, Any] = {}
        self._rules: list[_Rule] = []
        self._interval: int | None = None
        self._steps = 0
        self._initial: dict[tuple[str, str], Tensor] = {}
        self._world: Any = None
        self._simulation_context_initial_values = {GRAVITY: torch.zeros(3)}
        self._rigid_prim_views_initial_values: dict[str, dict[str, Tensor]] = {}
        self._articulation_views_initial_values: dict[str, dict[str, Tensor]] = {}

    def register_simulation_context(self, world: Any) -> None:
        """Take the world, for its gravity."""
        self._world, self._simulation_context_initial_values = world, {GRAVITY: world.get_gravity()}

    def register_rigid_prim_view(self, rigid_prim_view: Any) -> None:
        """Take a view of bodies."""
        self._rigid_prim_views_initial_values[rigid_prim_view.name] = self._register(rigid_prim_view, "RIGID_BODY")

    def register_articulation_view(self, articulation_view: Any) -> None:
        """Take a view of robots."""
        self._articulation_views_initial_values[articulation_view.name] = self._register(
            articulation_view, "ARTICULATION"
        )

    def _register(self, view: Any, kind: str) -> dict[str, Tensor]:
        self._views[view.name] = view
        values = {}
        for attribute in NAMES[kind]:
            if attribute.startswith("tendon") and not view.num_fixed_tendons:
                values[attribute] = torch.zeros((view.count, 0))
                continue
            self._initial[view.name, attribute] = read(view._engine, view, kind, attribute)
            values[attribute] = self._initial[view.name, attribute].reshape(view.count, -1)
        return values

    def randomize_simulation_context(self, operation: str, **attributes: Distribution) -> None:
        """Add a rule for gravity, which is that of the whole scene."""
        for attribute, distribution in attributes.items():
            self._rules.append(_Rule(None, attribute, distribution, operation, self._interval))

    def randomize_rigid_prim_view(
        self, view_name: str, operation: str, num_buckets: int = 0, **attributes: Distribution
    ) -> None:
        """Add a rule for bodies; materials are drawn for each shape, without buckets."""
        for attribute, distribution in attributes.items():
            self._rules.append(_Rule(self._views[view_name], attribute, distribution, operation, self._interval))

    randomize_articulation_view = randomize_rigid_prim_view

    @contextmanager
    def gate(self, interval: int | None = None) -> Iterator[None]:
        """Say when the rules that are added meanwhile apply: at resets, or every so many steps."""
        self._interval = interval
        yield

    def step_randomization(self, reset_inds: Tensor) -> None:
        """Apply rules to environments that were reset, (M,) or (M, 1), and to all what is due by its interval."""
        self._steps += 1
        env_ids = reset_inds.reshape(-1)
        for rule in self._rules:
            if rule.interval is not None and self._steps % rule.interval == 0:
                self._apply(rule, None)
            elif rule.interval is None and len(env_ids):
                self._apply(rule, env_ids)

    def _apply(self, rule: _Rule, env_ids: Tensor | None) -> None:
        view = rule.view
        if view is None:
            noise = rule.distribution.draw(1, torch.device("cpu"), 3)[0]
            self._world.set_gravity(
                combine(rule.operation, self._simulation_context_initial_values[rule.attribute], noise)
            )
            return
        first = self._initial.get((view.name, rule.attribute))
        if first is None:  # of tendons, where there are none
            return
        kind = "ARTICULATION" if view.name in self._articulation_views_initial_values else "RIGID_BODY"
        rows = torch.arange(view.count, device=first.device) if env_ids is None else env_ids.to(first.device)
        start = first[rows]
        if rule.attribute in MOVING[kind]:
            start = read(view._engine, view, kind, rule.attribute, rows)
        noise = rule.distribution.draw(len(rows), first.device).reshape(start.shape)
        write(view._engine, view, kind, rule.attribute, combine(rule.operation, start, noise), rows)


PHYSICS_VIEW = PhysicsView()


@contextmanager
def _on_rl_frame(num_envs: int) -> Iterator[None]:
    PHYSICS_VIEW.clear()
    yield


CORE: dict[str, Any] = {
    "set_global_seed": lambda seed: None,
    "orchestrator": SimpleNamespace(run=lambda: None),
    "distribution": SimpleNamespace(
        uniform=lambda lower, upper: Distribution("uniform", lower, upper),
        normal=lambda mean, std: Distribution("normal", mean, std),
        log_uniform=lambda lower, upper: Distribution("log_uniform", lower, upper),
    ),
}
ISAAC: dict[str, Any] = {
    "physics_view": PHYSICS_VIEW,
    "trigger": SimpleNamespace(on_rl_frame=_on_rl_frame),
    "gate": SimpleNamespace(on_env_reset=PHYSICS_VIEW.gate, on_interval=PHYSICS_VIEW.gate),
    "RIGID_PRIM_ATTRIBUTES": list(NAMES["RIGID_BODY"]),
    "ARTICULATION_ATTRIBUTES": list(NAMES["ARTICULATION"]),
    "SIMULATION_CONTEXT_ATTRIBUTES": ["gravity"],
}
