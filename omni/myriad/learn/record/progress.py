# SPDX-License-Identifier: Apache-2.0
"""Show a training run while it runs: a live panel in a terminal, plain lines anywhere else."""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise

from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from omni.myriad.learn.base import Epoch

_SPARKS = "▁▂▃▄▅▆▇█"
_PHASES = (("physics", "cyan"), ("task", "green"), ("policy", "yellow"), ("update", "magenta"))
_LINE_SECONDS = 1.0


class Progress:
    """Draw each epoch as it comes."""

    def __init__(self, title: str, max_epochs: int, max_frames: int, console: Console | None = None) -> None:
        """Prepare; nothing is drawn before the first epoch.

        Args:
            title: What is trained, shown on the panel.
            max_epochs: Epochs to go to, -1 where frames decide.
            max_frames: Frames to go to, -1 where epochs decide.
            console: Where to draw, standard output by default.
        """
        self.title, self.max_epochs, self.max_frames = title, max_epochs, max_frames
        self.console = console or Console()
        self.rewards: deque[float] = deque(maxlen=2000)
        self.faults = 0  # so far
        self._live: Live | None = None
        self._handlers: list[logging.StreamHandler] = []
        self._first: Epoch | None = None
        self._line_time = float("-inf")
        self._unprinted: Epoch | None = None

    def __call__(self, epoch: Epoch) -> None:
        """Show one more epoch."""
        self._first = self._first or epoch
        self.faults += epoch.faults
        if epoch.reward_mean is not None:
            self.rewards.append(epoch.reward_mean)
        if self.console.is_terminal:
            self._live = self._live or self._start_live()
            self._live.update(self.panel(epoch))
        else:
            self._unprinted = epoch
            if time.monotonic() - self._line_time >= _LINE_SECONDS:
                self._print_line(epoch)

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._live is not None:
            self._live.stop()
            for handler in self._handlers:
                handler.setStream(sys.stderr)
        elif self._unprinted is not None:
            self._print_line(self._unprinted)

    def _start_live(self) -> Live:
        """Begin to draw the panel, with log records above it: what is written past it, it would draw over."""
        handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, logging.StreamHandler)]
        self._handlers = [handler for handler in handlers if handler.stream is sys.stderr]
        live = Live(console=self.console, refresh_per_second=4)
        live.start()  # from here on sys.stderr is rich's
        for handler in self._handlers:
            handler.setStream(sys.stderr)
        return live

    def _print_line(self, epoch: Epoch) -> None:
        self._line_time, self._unprinted = time.monotonic(), None
        self.console.print(self.line(epoch), highlight=False, soft_wrap=True)

    def line(self, epoch: Epoch) -> str:
        """Return the epoch as one plain line."""
        split = "  ".join(f"{name} {share:.0%}" for name, share, _ in _shares(epoch))
        return (
            f"epoch {_of(epoch.epoch, self.max_epochs)}  frames {_count(epoch.frames)}  "
            f"{_count(epoch.frames_per_second)} steps/s ({split})  "
            f"reward {_reward(epoch)} (best {_number(epoch.reward_best)})  "
            f"length {_number(epoch.episode_length_mean)}  "
            + "".join(f"{_spoken(name)} {_number(value)}  " for name, value in epoch.extras.items() if "/" not in name)
            + f"{_clock(self.seconds_left(epoch))} left"
            + (f"  {self.faults} faults" if self.faults else "")
        )

    def fraction(self, epoch: Epoch) -> float:
        """Return how much of the run is done, 0 to 1."""
        done = [epoch.epoch / self.max_epochs] if self.max_epochs > 0 else []
        done += [epoch.frames / self.max_frames] if self.max_frames > 0 else []
        return min(max(done, default=0.0), 1.0)

    def seconds_left(self, epoch: Epoch) -> float | None:
        """Return the seconds still to go at the pace of this session, None where there is no end or no pace."""
        assert self._first is not None
        before, now = self.fraction(self._first), self.fraction(epoch)
        if now <= 0.0:
            return None
        if now <= before:
            return (1.0 - now) / now * epoch.epoch_seconds * epoch.epoch  # the first epoch of the session
        return (epoch.seconds - self._first.seconds) * (1.0 - now) / (now - before)

    def panel(self, epoch: Epoch) -> RenderableType:
        """Return the epoch as a panel."""
        label, wide, right = Column(no_wrap=True), Column(ratio=1), Column(justify="right", no_wrap=True)
        head = Table.grid(label, wide, right, expand=True, padding=(0, 1))
        fraction = self.fraction(epoch)
        head.add_row(
            Text.assemble("epoch ", (_of(epoch.epoch, self.max_epochs), "bold")),
            ProgressBar(total=1.0, completed=fraction, complete_style="bright_blue", finished_style="green"),
            Text.assemble(
                (f"{fraction:4.0%}", "bold"), "  ", (_clock(epoch.seconds), ""), (" elapsed  ", "dim"),
                (_clock(self.seconds_left(epoch)), ""), (" left", "dim"),
            ),
        )  # fmt: skip

        score = Table.grid(Column(style="dim", no_wrap=True), Column(no_wrap=True), padding=(0, 2))
        spark = sparkline(list(self.rewards), 24)
        score.add_row("mean reward", Text.assemble((_reward(epoch), "bold green"), "  ", (spark, "green")))
        score.add_row("best", _number(epoch.reward_best))
        score.add_row("episode length", _number(epoch.episode_length_mean))
        score.add_row("frames", _of(epoch.frames, self.max_frames, " of ", _count))
        for name, value in epoch.extras.items():
            score.add_row(_spoken(name), _number(value))
        if self.faults:
            score.add_row("faults", f"{self.faults} environments reset")
        score.add_row("steps/s", Text(_count(epoch.frames_per_second), "bold"))

        learner = Table.grid(Column(style="dim", no_wrap=True), Column(justify="right", no_wrap=True), padding=(0, 2))
        names = {"a_loss": "actor loss", "c_loss": "critic loss", "bounds_loss": "bounds loss", "kl": "KL"}
        for name, value in epoch.losses.items():
            learner.add_row(names.get(name, name), f"{value:.4g}")
        learner.add_row("learning rate", _number(epoch.learning_rate))

        columns = Table.grid(Column(ratio=1), Column(), expand=True, padding=(0, 1))
        columns.add_row(score, learner)

        split = Table.grid(Column(no_wrap=True), Column(justify="right"), Column(ratio=1), expand=True, padding=(0, 1))
        begin = 0.0
        for name, share, colour in _shares(epoch):
            split.add_row(Text(name, colour), f"{share:.0%}", Bar(1.0, begin, begin + share, color=colour))
            begin += share
        return Panel(
            Group(head, Text(), columns, Text(), split),
            title=f"[bold]{self.title}",
            border_style="bright_blue",
            padding=(1, 2),
            width=min(self.console.width, 96),
        )


def sparkline(values: list[float], width: int) -> str:
    """Return `values` as a line of at most `width` small bars, the lowest the smallest."""
    if len(values) < 2:
        return ""
    if len(values) > width:
        edges = [round(i * len(values) / width) for i in range(width + 1)]
        values = [sum(values[low:high]) / (high - low) for low, high in pairwise(edges)]
    low, high = min(values), max(values)
    scale = (len(_SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_SPARKS[round((value - low) * scale)] for value in values)


def _shares(epoch: Epoch) -> list[tuple[str, float, str]]:
    seconds = [(name, getattr(epoch, f"{name}_seconds"), colour) for name, colour in _PHASES]
    total = max(sum(value for _, value, _ in seconds), 1e-9)
    return [(name, value / total, colour) for name, value, colour in seconds]


def _of(value: int, total: int, between: str = "/", show: Callable[[int], str] = str) -> str:
    return between.join(map(show, (value, total) if total > 0 else (value,)))


def _reward(epoch: Epoch) -> str:
    if epoch.reward_mean is None and epoch.reward_so_far is not None:
        return f"{_number(epoch.reward_so_far)} so far"
    return _number(epoch.reward_mean)


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _count(value: float) -> str:
    for limit, divisor, unit in ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if value >= limit:
            return f"{value / divisor:.3g}{unit}" if value < 100 * divisor else f"{value / divisor:.0f}{unit}"
    return f"{value:.0f}"


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
