# SPDX-License-Identifier: Apache-2.0
"""A sweep on the screen while it runs: a table that changes, or where nobody watches, a line now and then."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from ray import tune
from rich.console import Console
from rich.live import Live
from rich.table import Table

from omni.myriad.sweep.plan import Plan
from omni.myriad.sweep.report import short_names, show

_LINE_SECONDS = 10.0
_ROWS = 30
_STATES = {"RUNNING": "running", "TERMINATED": "ended", "ERROR": "failed", "PAUSED": "waiting", "PENDING": "waiting"}


class Screen(tune.Callback):
    """Show the trials, the best first, as Ray tells of them."""

    def __init__(self, plan: Plan) -> None:
        """Show a plan's trials; nothing is written before the first one starts."""
        self._plan, self._live, self._said = plan, None, 0.0

    def __getstate__(self) -> dict[str, Any]:
        """Ray keeps us in a file; a terminal is no part of it."""
        return self.__dict__ | {"_live": None}

    def on_step_end(self, iteration: int, trials: list[Any], **_info: Any) -> None:
        """Show where all are."""
        console = Console()
        if console.is_terminal:
            if self._live is None:
                self._live = Live(console=console, auto_refresh=False)
                self._live.start()
            if time.monotonic() - self._said > 0.5:
                self._said = time.monotonic()
                self._live.update(self._table(trials), refresh=True)
        elif time.monotonic() - self._said > _LINE_SECONDS:
            self._said = time.monotonic()
            print(self._line(trials), flush=True)

    def on_experiment_end(self, trials: list[Any], **_info: Any) -> None:
        """Leave the last table, or line, where it is."""
        if self._live is not None:
            self._live.update(self._table(trials), refresh=True)
            self._live.stop()
            self._live = None
        else:
            print(self._line(trials), flush=True)

    def _score(self, trial: Any) -> float | None:
        return (trial.last_result or {}).get(self._plan.options["metric"])

    def _line(self, trials: list[Any]) -> str:
        states = Counter(_STATES.get(trial.status, trial.status) for trial in trials)
        said = ", ".join(f"{count} {state}" for state, count in states.items())
        scored = [trial for trial in trials if self._score(trial) is not None]
        if scored:
            best = max(scored, key=lambda trial: self._score(trial) or 0.0)
            said += f"; best {self._plan.options['metric']} {self._score(best):,.1f} ({best.last_result['run']})"
        return f"{len(trials)} trials: {said}"

    def _table(self, trials: list[Any]) -> Table:
        names = short_names(self._plan)
        table = Table(title=self._line(trials), title_justify="left")
        for column in ("run", *names.values(), "seed", "done", self._plan.options["metric"], "frames/s", ""):
            table.add_column(column, justify="right")
        order = sorted(trials, key=lambda trial: -(self._score(trial) or float("-inf")) if trial.last_result else 0.0)
        for trial in order[:_ROWS]:
            result, score = trial.last_result or {}, self._score(trial)
            speed, percent = result.get("frames_per_second"), result.get("percent")
            table.add_row(
                result.get("run", ""),
                *(show(trial.config.get(key)) for key in names),
                str(trial.config.get("seed", "")),
                "" if percent is None else f"{percent:.0f} %",
                "" if score is None else f"{score:,.1f}",
                "" if speed is None else f"{speed:,.0f}",
                "failed" if "failed" in result else _STATES.get(trial.status, ""),
            )
        return table
