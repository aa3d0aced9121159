# SPDX-License-Identifier: Apache-2.0
"""Write down how a run went: TensorBoard events, progress.csv, curve.png, summary.json, and wandb when asked."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omni.myriad.errors import MyriadError
from omni.myriad.files import replacing, write_json, write_text, writing
from omni.myriad.learn.base import Epoch
from omni.myriad.learn.record.report import write_report

_COLUMNS = (
    "epoch", "frames", "seconds", "reward_mean", "reward_best", "episode_length_mean", "episodes", "learning_rate",
    "frames_per_second", "physics_seconds", "task_seconds", "policy_seconds", "update_seconds", "faults",
)  # fmt: skip


def scalars(epoch: Epoch) -> dict[str, tuple[float, float]]:
    """Return TensorBoard's scalars as name: (value, position), under the names that rl-games made familiar.

    Names end in `/step`, `/iter` and `/time` where a value is shown against frames, epochs and seconds.
    """
    rollout = epoch.physics_seconds + epoch.task_seconds + epoch.policy_seconds
    stepping = epoch.physics_seconds + epoch.task_seconds
    found: dict[str, float | None] = {
        "performance/step_inference_rl_update_fps": epoch.frames_per_second,
        "performance/step_inference_fps": epoch.epoch_frames / max(rollout, 1e-9),
        "performance/step_fps": epoch.epoch_frames / max(stepping, 1e-9),
        "performance/rl_update_time": epoch.update_seconds,
        "performance/step_inference_time": rollout,
        "performance/step_time": stepping,
        "performance/physics_time": epoch.physics_seconds,
        "performance/task_time": epoch.task_seconds,
        "info/lr_mul": 1.0,
        "info/epochs": float(epoch.epoch),
        "info/last_lr": epoch.learning_rate,
        "info/e_clip": epoch.clip_range,
        **{"info/kl" if name == "kl" else f"losses/{name}": value for name, value in epoch.losses.items()},
        **epoch.scalars,
    }
    located = {name: (value, float(epoch.frames)) for name, value in found.items()}
    means = {"rewards": epoch.reward_mean, "shaped_rewards": epoch.shaped_reward_mean}
    for axis, position in (("step", epoch.frames), ("iter", epoch.epoch), ("time", epoch.seconds)):
        for name, value in (means | {"episode_lengths": epoch.episode_length_mean}).items():
            located[f"{name}/{axis}"] = (value, float(position))
    located |= {f"Episode/{name}": (value, float(epoch.epoch)) for name, value in epoch.extras.items()}
    return {name: (value, position) for name, (value, position) in located.items() if value is not None}


class Recorder:
    """Keep the record of one run in its folder."""

    def __init__(self, run_dir: Path, wandb_run: Any = None) -> None:
        """Open the records; those of a run that is resumed in its own folder continue.

        Args:
            run_dir: The run's folder.
            wandb_run: What `start_wandb` returned, or None.
        """
        from tensorboardX.event_file_writer import EventsWriter

        self.run_dir = run_dir
        self.wandb_run = wandb_run
        self._csv: Any = None
        folder = run_dir / "summaries"
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # Not its SummaryWriter, whose thread dies where the disk is full: then training waits for it for ever.
            self._events = EventsWriter(str(folder / "events"))

    def __call__(self, epoch: Epoch) -> None:
        """Write one epoch down."""
        row = {name: getattr(epoch, name) for name in _COLUMNS} | epoch.losses | epoch.extras
        with writing(self.run_dir / "progress.csv"):
            if self._csv is None or not row.keys() <= set(self._columns):
                self._csv = self._open_csv(epoch.epoch, list(row))
            self._csv.writerow([row.get(name) for name in self._columns])
            self._file.flush()
        located = scalars(epoch)
        with writing(self.run_dir / "summaries"):
            for name, (value, position) in located.items():
                # Seconds go in as the step too, rounded: TensorBoard's steps are integers.
                self._events.write_event(_event(name, value, int(position)))
            self._events.flush()
        if self.wandb_run is not None:
            self.wandb_run.log({name: value for name, (value, _) in located.items()}, step=epoch.frames)

    def _open_csv(self, first_epoch: int, columns: list[str]) -> Any:
        path = self.run_dir / "progress.csv"
        if self._csv is not None:
            self._file.close()
        header, *old = self._read_csv()
        header = header if header[:1] == columns[:1] else []
        self._columns = [*header, *(name for name in columns if name not in header)]
        # Resumed in place: what came after the checkpoint is about to be repeated.
        rows = [row for row in old if header and int(row[0]) < first_epoch]
        text = io.StringIO(newline="")
        csv.writer(text).writerows([self._columns, *(row + [""] * (len(self._columns) - len(header)) for row in rows)])
        write_text(path, text.getvalue())
        # Open for the length of the run, and never through a link that somebody put there.
        self._file = open(path, "a", newline="", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW))  # noqa: SIM115
        return csv.writer(self._file)

    def _read_csv(self) -> list[list[str]]:
        path = self.run_dir / "progress.csv"
        if not path.exists():
            return [[]]
        with open(path, newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        return [header, *(row for row in rows if len(row) == len(header))]

    def close(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json, curve.png and report.html, and close everything, each also where another cannot be."""
        with writing(self.run_dir), contextlib.ExitStack() as closing:
            if self.wandb_run is not None:
                closing.callback(self.wandb_run.finish, exit_code=0 if summary["status"] == "finished" else 1)
                closing.callback(self.wandb_run.summary.update, dict(summary))
                closing.callback(log_artifacts, self.wandb_run, self.run_dir)
            closing.callback(write_report, self.run_dir)
            closing.callback(self._draw, f"{summary['task']}, {summary['num_envs']} environments")
            closing.callback(write_json, self.run_dir / "summary.json", summary)
            if self._csv is not None:
                closing.callback(self._file.close)
            closing.callback(self._events.close)

    def _draw(self, title: str) -> None:
        curve = [(float(row[1]), float(row[2]), float(row[3])) for row in self._read_csv()[1:] if row[3]]
        if curve:
            draw_curve(self.run_dir / "curve.png", curve, title)


def _event(name: str, value: float, step: int) -> Any:
    from tensorboardX.proto import event_pb2
    from tensorboardX.summary import scalar

    return event_pb2.Event(  # type: ignore[attr-defined]
        wall_time=time.time(), step=step, summary=scalar(name, value)
    )


def draw_curve(path: Path, curve: list[tuple[float, float, float]], title: str) -> None:
    """Draw mean reward against frames and against seconds.

    Args:
        path: The PNG to write.
        curve: Frames, seconds and mean reward of each epoch.
        title: Written above.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    frames, seconds, rewards = zip(*curve, strict=True)
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, positions, label in ((left, frames, "frames"), (right, seconds, "training time (s)")):
        axes.plot(positions, rewards, color="#1f77b4", linewidth=1.8, marker="." if len(curve) < 3 else "")
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(left=0)
    left.set_ylabel("mean episode reward")
    left.xaxis.set_major_formatter(EngFormatter(sep=" "))
    best = max(rewards)
    right.axhline(best, color="#999999", linewidth=0.8, linestyle="--")
    right.annotate(
        f"best {best:,.1f}", (0.0, best), xycoords=("axes fraction", "data"), xytext=(4, -10),
        textcoords="offset points", color="#666666", fontsize=9,
    )  # fmt: skip
    figure.suptitle(title)
    with replacing(path) as temporary:
        figure.savefig(temporary)


def start_wandb(cfg: Mapping[str, Any], run_dir: Path) -> Any:
    """Start a Weights & Biases run, offline where there is no key or no network.

    Args:
        cfg: Resolved configuration with `wandb_project`, `wandb_group`, `wandb_name`, `wandb_entity`, all optional.
        run_dir: The run's folder; wandb's files go there.

    Raises:
        MyriadError: Where wandb is not installed.
    """
    try:
        import wandb
        import wandb.errors
    except ImportError as error:
        raise MyriadError("wandb_activate=True needs wandb: pip install wandb") from error
    options: dict[str, Any] = {
        "project": cfg.get("wandb_project") or "myriad",
        "group": cfg.get("wandb_group") or None,
        "name": cfg.get("wandb_name") or run_dir.name,
        "entity": cfg.get("wandb_entity") or None,
        "config": dict(cfg),
        "dir": str(run_dir),
        "settings": wandb.Settings(silent=True, init_timeout=20),
    }
    if "WANDB_API_KEY" in os.environ or "WANDB_MODE" in os.environ or _netrc_has_wandb():
        with contextlib.suppress(wandb.errors.Error):
            return wandb.init(mode=os.environ.get("WANDB_MODE"), **options)  # type: ignore[arg-type]
    return wandb.init(mode="offline", **options)


def log_artifacts(wandb_run: Any, run_dir: Path) -> None:
    """Give a Weights & Biases run what a training leaves: policy, report, curve, film and settings, as one artifact."""
    import wandb

    artifact = wandb.Artifact(f"run-{wandb_run.id}", type="run")
    films = sorted((run_dir / "films").glob("*.mp4"))[-1:]
    names = ("exported/policy.onnx", "report.html", "curve.png", "config.yaml", "run.json", "summary.json")
    for path in [*(run_dir / name for name in names), *films]:
        if path.is_file():
            artifact.add_file(str(path), name=path.relative_to(run_dir).as_posix())
    wandb_run.log_artifact(artifact)
    if films:
        wandb_run.log({"film": wandb.Video(str(films[-1]), format="mp4")})


def _netrc_has_wandb() -> bool:
    import netrc

    try:
        return "api.wandb.ai" in netrc.netrc().hosts
    except (OSError, netrc.NetrcParseError):
        return False
