# SPDX-License-Identifier: Apache-2.0
"""Ray tries what a sweep asks for: the only file that knows it.

A trial is an actor of Ray's that starts a training as a process, tells Ray how far it is, and ends it when Ray says so.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import random
import signal
import socket
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",  # nothing is told to anybody
    RAY_BACKEND_LOG_LEVEL="fatal",  # it would miss, on our screen, the dashboard's part that collects metrics
    RAY_AIR_NEW_OUTPUT="0",
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="1",  # a trial without GPU sees none
    RAY_CHDIR_TO_TRIAL_DIR="0",
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",  # a run's folder has its own records
    TUNE_DISABLE_STRICT_METRIC_CHECKING="1",  # a training that fails has no reward
    TUNE_DISABLE_SIGINT_HANDLER="1",
    TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S="0",
)

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, PopulationBasedTraining, TrialScheduler
from ray.tune.search import BasicVariantGenerator, Repeater, SearchAlgorithm, Searcher
from ray.tune.search.repeater import TRIAL_INDEX

from omni.myriad.engine.quiet import silence
from omni.myriad.errors import Interrupted, MyriadError
from omni.myriad.places import COMMAND, child_environment
from omni.myriad.sweep.plan import Plan
from omni.myriad.sweep.space import Range
from omni.myriad.sweep.training import STOP, Training

_FOLDER = "folder"
_STATE = "ray"  # folder of Ray's own files in the sweep's
_FOR_ALL = (signal.SIGTERM, signal.SIGHUP)
_CONNECT_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_FAILURES = 3  # of a trial whose actor or machine died
_OBJECT_STORE = 100 * 2**20  # bytes: results are small, and nothing else goes through it


class Trial(tune.Trainable):
    """A trial, to Ray: `step` waits for the next result, a checkpoint is the name of a file."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take the settings to try; nothing starts yet, as Ray may have a checkpoint to begin with."""
        settings = dict(config)
        self._sweep = Path(settings.pop(_FOLDER))
        self._plan = Plan.read(self._sweep)
        if (index := settings.pop(TRIAL_INDEX, None)) is not None:
            settings["seed"] = self._plan.options["seeds"][index]
        self._settings, self._checkpoint = settings, ""
        self._training: Training | None = None
        self._last: dict[str, Any] = {}

    def step(self) -> dict[str, Any]:
        """Train to the next result, and return it."""
        if (self._sweep / STOP).exists():  # whoever wrote it ends the trial in a moment
            time.sleep(_LOOK_SECONDS)
            return dict(self._last)
        if self._training is None:
            common = self._plan.settings
            if self._plan.options["search"] == "pbt":
                common = [*common, f"save_every={self._plan.report_every}"]
            self._training = Training(
                self._sweep, str(self.trial_id), self._settings, common, self._plan.directory, self._checkpoint
            )
            self._epochs = self._training.epochs()
        run = {"run": self._training.folder.name}
        try:
            for row in self._epochs:
                if self._plan.options["metric"] not in row:  # no episode has ended yet
                    continue
                self._last = {**row, **run, "percent": self._plan.percent(row["epoch"], row["frames"])}
                is_due = row["epoch"] % self._plan.report_every == 0 and self._last["percent"] < 100.0
                if is_due and self._has_saved(int(row["epoch"])):
                    return dict(self._last)
        except MyriadError as error:
            return {**run, "done": True, "failed": str(error)}
        except KeyboardInterrupt:
            return dict(self._last)
        if not self._last:
            return {**run, "done": True, "failed": "no episode had ended when the training did"}
        return {**self._last, "percent": 100.0, "done": True}

    def _has_saved(self, epoch: int) -> bool:
        """Tell whether there is something to mutate, which comes a moment after the epoch is written down."""
        if self._plan.options["search"] != "pbt":
            return True
        assert self._training is not None
        file = self._training.folder / "checkpoints" / f"epoch_{epoch}.pth"
        if not self._training.wait_for(file):
            return False
        self._checkpoint = str(file)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Return where the result before was saved."""
        return {"checkpoint": self._checkpoint}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Begin with a checkpoint, which may be another trial's."""
        self._checkpoint = (checkpoint or {}).get("checkpoint", "")

    def cleanup(self) -> None:
        """End the training, which saves."""
        if self._training is not None:
            self._training.stop()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial: a process that has Ray in it takes seconds to start."""
        self.cleanup()
        self.setup(new_config)
        return True


class _Seeds(Repeater):
    """Each suggestion once for every seed; Ray's own class forgets on the disk which trials belong together."""

    def save(self, checkpoint_path: str) -> None:
        with open(checkpoint_path, "wb") as file:
            pickle.dump(self.__dict__, file)

    def restore(self, checkpoint_path: str) -> None:
        with open(checkpoint_path, "rb") as file:
            self.__dict__.update(pickle.load(file))


def run(plan: Plan, folder: Path, callback: tune.Callback, resume: bool) -> None:
    """Try everything, or what a sweep that was ended has left.

    Args:
        plan: What to try.
        folder: The sweep's folder.
        callback: Told of results.
        resume: Whether there is something to go on with.

    Raises:
        MyriadError: If Ray cannot be reached or has not what trials need.
        Interrupted: On Ctrl-C, SIGTERM or SIGHUP, after every training was saved.
    """
    (folder / STOP).unlink(missing_ok=True)
    with _ray(plan.options["ray_address"]):
        resources = _resources(plan.options)
        trainable = tune.with_resources(Trial, resources)
        random.seed(plan.options["seeds"][0])
        if resume and tune.Tuner.can_restore(str(folder / _STATE)):
            tuner = tune.Tuner.restore(str(folder / _STATE), trainable, resume_unfinished=True, resume_errored=True)
        else:
            tuner = _tuner(plan, folder, trainable, callback)
        with _stop_on_signals(folder) as received:
            tuner.fit()
        if received:
            raise Interrupted(f"go on with {COMMAND} sweep resume={folder}", received[0])


def _tuner(plan: Plan, folder: Path, trainable: Any, callback: tune.Callback) -> tune.Tuner:
    options = plan.options
    seeds, search = options["seeds"], options["search"]
    space: dict[str, Any] = {key: _domain(one, search) for key, one in plan.space.items()}
    if "seed" not in space and search in ("random", "grid"):
        space["seed"] = tune.grid_search(seeds)
    elif search == "pbt":
        space["seed"] = seeds[0]
    scheduler = _scheduler(plan)
    return tune.Tuner(
        trainable,
        param_space={**space, _FOLDER: str(folder)},
        tune_config=tune.TuneConfig(
            metric=options["metric"],
            mode="max",
            search_alg=_searcher(options),
            scheduler=scheduler,
            num_samples={"grid": 1, "optuna": options["trials"] * len(seeds)}.get(search, options["trials"]),
            max_concurrent_trials=options["concurrent"],
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=_STATE,
            storage_path=str(folder),
            verbose=0,
            callbacks=[callback],
            failure_config=tune.FailureConfig(max_failures=_FAILURES),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )


def _domain(one: Range | list[Any], search: str) -> Any:
    """Return Ray's name for what a setting is drawn from."""
    if isinstance(one, Range):
        ends = (int(one.low), int(one.high)) if one.is_whole else (one.low, one.high)
        return getattr(tune, one.kind)(*ends)
    return tune.grid_search(one) if search == "grid" else tune.choice(one)


def _searcher(options: dict[str, Any]) -> Searcher | SearchAlgorithm:
    seeds = options["seeds"]
    if options["search"] != "optuna":
        # All seeds of one draw; as many settings at a time as there is room for.
        return BasicVariantGenerator(
            constant_grid_search=True, random_state=seeds[0], max_concurrent=options["concurrent"] or 0
        )
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module=r"optuna|ray\.tune\.search\.optuna")
    return _Seeds(OptunaSearch(seed=seeds[0]), repeat=len(seeds))


def _scheduler(plan: Plan) -> TrialScheduler:
    options = plan.options
    if options["search"] == "pbt":

        def keep_in_range(config: dict[str, Any]) -> dict[str, Any]:
            ranges = {key: one for key, one in plan.space.items() if isinstance(one, Range)}
            return config | {key: one.nearest(config[key]) for key, one in ranges.items()}

        return PopulationBasedTraining(
            time_attr="epoch",
            perturbation_interval=plan.report_every,
            hyperparam_mutations={
                key: _domain(one, "pbt") if isinstance(one, Range) else one for key, one in plan.space.items()
            },
            custom_explore_fn=keep_in_range,
            require_attrs=False,
            log_config=False,  # a run's trial.json says it
        )
    if options["asha"]:
        return ASHAScheduler(
            time_attr="percent", max_t=100, grace_period=options["grace"], reduction_factor=options["reduction"]
        )
    return FIFOScheduler()


@contextlib.contextmanager
def _ray(address: str) -> Iterator[None]:
    """Start Ray on this machine, reachable from nowhere else, or go to the cluster at an address."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", "Tip: In future versions of Ray")
    os.environ["PYTHONPATH"] = child_environment()["PYTHONPATH"]  # which Ray's workers inherit
    here = {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "object_store_memory": _OBJECT_STORE}
    if address and address != "auto":
        _look_for(address)
    # Ray's processes inherit it: what ends a whole group, as Slurm or a closed terminal do, leaves them to us.
    signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_ALL)
    try:
        with silence():
            ray.init(address or "local", **quiet, **({} if address else here))
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
        said = " ".join(str(error).split())[:200]
        what = f"ray_address={address} cannot be reached" if address else "Ray cannot be started on this machine"
        raise MyriadError(f"{what}: {said}") from None
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FOR_ALL)
    try:
        yield
    finally:
        ray.shutdown()


def _look_for(address: str) -> None:
    """Raise where nobody answers at an address: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and "/" not in host):
        raise MyriadError(
            f"ray_address={address} is invalid: it must be auto or HOST:PORT, such as first-machine:6379."
        )
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise MyriadError(f"ray_address={address} cannot be reached: {error}.") from None


def _resources(options: dict[str, Any]) -> dict[str, float]:
    """Return what a trial gets: a GPU where there are any, and its share of the cores."""
    there = ray.cluster_resources()
    gpus, cpus = there.get("GPU", 0.0), there.get("CPU", 0.0)
    gpu = options["gpu_per_trial"] if options["gpu_per_trial"] is not None else min(gpus, 1.0)
    if gpu > gpus:
        raise MyriadError(f"gpu_per_trial={gpu:g} is more than Ray has: {gpus:g} GPUs.")
    cpu = options["cpus_per_trial"] or max(1.0, cpus * gpu // gpus if gpu else 1.0)
    if cpu > cpus:
        raise MyriadError(f"cpus_per_trial={cpu:g} is more than Ray has: {cpus:g} cores.")
    return {"cpu": cpu, "gpu": gpu}


@contextlib.contextmanager
def _stop_on_signals(folder: Path) -> Iterator[list[int]]:
    """Let the first signal that would end us save all trainings and Ray's state; a second one ends us at once."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def request_stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        restore()
        if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:  # nothing has begun
            raise Interrupted("", number)
        (folder / STOP).touch()
        os.kill(os.getpid(), signal.SIGUSR1)  # by which Ray ends a sweep

    for number in numbers:
        signal.signal(number, request_stop)
    try:
        yield received
    finally:
        restore()
