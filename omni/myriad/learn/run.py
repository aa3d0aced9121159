# SPDX-License-Identifier: Apache-2.0
"""Train and play with whichever learner is chosen: what all of them share around their own work."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from rich.progress import Progress

from omni.myriad.env.garbage import uncollected
from omni.myriad.env.vec_env import Watcher
from omni.myriad.errors import Interrupted, MyriadError, afterwards
from omni.myriad.learn import checkpoint, ranks, rollout
from omni.myriad.learn.base import Actor, Epoch, Learner, Listener, Watch, room

logger = logging.getLogger(__name__)

State = Mapping[str, Any]


def train(
    config: Mapping[str, Any],
    env: Any,
    run_dir: str | os.PathLike[str],
    watch: Watch | None = None,
    resume: State | None = None,
    finished: Callable[[Learner], object] | None = None,
    told: Sequence[Listener] = (),
) -> tuple[dict[str, Any], Learner]:
    """Train a policy, and return the summary that is also written to `run_dir`/summary.json, and the learner.

    Args:
        config: Resolved configuration, a plain nested dict: `task_name`, `seed`, `train`, and optionally `checkpoint`
            to resume from, `max_iterations`, `save_every` (epochs), `multi_gpu`, `wandb_activate` and its companions.
        env: Vectorised environment (see omni.myriad.env.vec_env).
        run_dir: The run's folder, created if missing.
        watch: Told of the learner before it trains, and of each epoch.
        resume: What `checkpoint.load` returned for `checkpoint`, to resume from.
        finished: Called with the learner after training came to its end, before the run's record is closed.
        told: Listeners of each epoch beside the run's record.

    Raises:
        MyriadError: If the configuration or the checkpoint is wrong, or training stopped being finite.
        Interrupted: On Ctrl-C, SIGTERM or SIGHUP, after last.pth was written; its message names it.
    """
    run_dir = Path(run_dir).absolute()
    checkpoints = run_dir / "checkpoints"
    if resume is not None:
        checkpoint.check_matches(resume, config, env, config["checkpoint"])
        before = resume["myriad"]["num_envs"]
        if "rollout" in resume and before != env.num_envs:
            what = "the learner resumes, the environments start again"
            logger.warning("the checkpoint has %d environments, this run %d: %s", before, env.num_envs, what)
    if (number := ranks.agree(env.num_envs)) != env.num_envs:
        raise MyriadError(f"num_envs={env.num_envs} here and {number} on the first rank: every rank needs as many")
    with uncollected():
        learner: Learner = room(config).make_learner(config, env, run_dir, resume)
    status, summary, recorder, progress, received = "failed", {}, None, None, []
    count = ranks.count()
    listeners: list[Listener] = [*told, *([watch] if watch else [])]

    def close() -> None:
        if progress is not None:
            progress.close()
        summary.update(_summary(config, env, learner.latest, checkpoints, status, count))
        if recorder is not None:
            recorder.close(summary)

    with afterwards(close):
        if ranks.rank() == 0:
            from omni.myriad.learn.record.advice import Advice
            from omni.myriad.learn.record.progress import Progress
            from omni.myriad.learn.record.recorder import Recorder, start_wandb

            recorder = Recorder(run_dir, start_wandb(config, run_dir) if config.get("wandb_activate") else None)
            where = env.device if ranks.count() == 1 else f"each of {ranks.count()} {env.device.type} devices"
            title = f"{config['task_name']}, {env.num_envs} environments on {where}"
            progress = Progress(title, learner.max_epochs, learner.max_frames)
            listeners = [recorder, progress, Advice(env.num_envs, env.max_episode_length), *listeners]
        if watch is not None:
            watch.started(learner, run_dir)
        try:
            with _stop_on_signals(learner, received, getattr(env, "watchers", ())):
                learner.train(lambda epoch: [listener(epoch) for listener in listeners])
        except KeyboardInterrupt:
            status = "interrupted"
            message = f"stopped after epoch {learner.latest.epoch}; resume with checkpoint={run_dir}"
            raise Interrupted(message, *received[:1]) from None
        status = "finished"
        ranks.leave()  # not where something went wrong: there, the others would be waited for
        if finished is not None:
            finished(learner)
    return summary, learner


def play(config: Mapping[str, Any], env: Any, path: Path, episodes: int, state: State) -> dict[str, Any]:
    """Play a policy without exploration, and return the mean and spread of reward and length.

    Args:
        config: Resolved configuration, as for `train`.
        env: Vectorised environment.
        path: The .pth file to play.
        episodes: Number of episodes, exactly.
        state: What `checkpoint.load` returned for it.

    Raises:
        MyriadError: If the checkpoint is wrong or does not fit the task.
    """
    if episodes < 1:
        raise MyriadError(f"episodes={episodes}: play at least one")
    checkpoint.check_matches(state, config, env, path)
    actor = make_actor(config, env, state, path)
    print(f"Playing {episodes:,} episodes of {path} in {env.num_envs:,} environments ...", flush=True)
    with Progress(transient=True) if sys.stdout.isatty() else contextlib.nullcontext() as progress:
        bar = progress.add_task("Episodes", total=episodes) if progress else None

        def told(done: int) -> None:
            if progress and bar is not None:
                progress.update(bar, completed=done)

        rewards, lengths = rollout.play(env, actor, episodes, told)
    result = {"task": config["task_name"], "checkpoint": str(path), "episodes": len(rewards)}
    for name, values in (("reward", rewards), ("episode_length", lengths)):
        result |= {f"{name}_mean": float(values.mean()), f"{name}_std": float(values.std(unbiased=False))}
    # From the least to the most, in steps of 5 %.
    quantiles = torch.quantile(rewards.double().sort().values, torch.linspace(0.0, 1.0, 21, dtype=torch.double))
    result["reward_quantiles"] = quantiles.tolist()
    return result | {"reward_min": float(rewards.min()), "reward_max": float(rewards.max())}


def make_actor(config: Mapping[str, Any], env: Any, state: State, path: str | os.PathLike[str] = "checkpoint") -> Actor:
    """Return the policy of a checkpoint, to be asked for actions without exploration.

    Args:
        config: Resolved configuration, as for `train`.
        env: Vectorised environment; its spaces, size and device are all that is looked at.
        state: What `checkpoint.load` returned.
        path: The checkpoint's file, for messages.

    Raises:
        MyriadError: If the checkpoint does not fit the configuration.
    """
    return room(config).make_actor(config, env, state, path)


@contextlib.contextmanager
def _stop_on_signals(learner: Learner, received: list[int], watchers: Iterable[Watcher] = ()) -> Iterator[None]:
    """Let the first signal that would end the process finish the step at hand and save; a second one stops at once.

    Args:
        learner: Told to stop.
        received: The signal's number is appended.
        watchers: Told to hold the environment up no longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if before[signal.SIGHUP] is signal.SIG_IGN:  # `nohup`: a closed terminal shall not matter
        del before[signal.SIGHUP]

    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def request_stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        learner.stop()
        for watcher in watchers:
            watcher.release()
        restore()
        if number == signal.SIGHUP:  # to write to a terminal that was closed is an error
            with open(os.devnull, "w") as nowhere:
                for stream in terminals:
                    os.dup2(nowhere.fileno(), stream)

    for number in before:
        signal.signal(number, request_stop)
    try:
        yield
    finally:
        restore()


def _summary(
    config: Mapping[str, Any], env: Any, latest: Epoch, checkpoints: Path, status: str, count: int
) -> dict[str, Any]:
    kept = checkpoint.kept(checkpoints)
    return {
        "task": config["task_name"],
        "status": status,
        "seed": config["seed"],
        "num_envs": env.num_envs,
        "ranks": count,
        "engine": config["engine"]["name"],
        "device": str(env.device),
        "frames": latest.frames,
        "epochs": latest.epoch,
        "train_seconds": round(latest.seconds, 3),
        "frames_per_second": round(latest.frames / latest.seconds, 1) if latest.seconds else None,
        "reward_mean": latest.reward_mean,
        "reward_best": latest.reward_best if latest.reward_best is not None else latest.reward_mean,
        "episode_length_mean": latest.episode_length_mean,
        "learning_rate": latest.learning_rate,
        "checkpoint": str(kept) if kept else None,
        "resources": _resources(env.device),
    }


def _resources(device: torch.device | str) -> dict[str, float]:
    """Return what the process has used: memory in MiB, CPU time in seconds, and how many files it has open.

    GPU memory is that of the whole card, other processes' included, because physics does not ask torch for its own.
    """
    used: dict[str, float] = {
        "memory_peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "cpu_seconds": round(time.process_time(), 1),
        "open_files": len(os.listdir("/proc/self/fd")),
    }
    if torch.device(device).type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        used["gpu_memory_mib"] = round((total - free) / 2**20, 1)
        used["gpu_memory_peak_of_torch_mib"] = round(torch.cuda.max_memory_reserved(device) / 2**20, 1)
    return used
