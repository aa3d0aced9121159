# SPDX-License-Identifier: Apache-2.0
"""What the window does, without a window: load, train, stop, play, export, one at a time and each on its own thread."""

from __future__ import annotations

import json
import logging
import shlex
import sys
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omni.myriad.app.run_folder import last_run, trained_checkpoint
from omni.myriad.errors import MyriadError
from omni.myriad.task.loader import TASKS_PATH, all_tasks
from omni.myriad.ui.drive import Drive, DrivenEnv

if TYPE_CHECKING:
    from omni.myriad.engine.base import Application
    from omni.myriad.env.vec_env import VecEnv
    from omni.myriad.learn.base import Epoch, Learner

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
"""How long the end of a window waits for a job that has been told to stop."""


class State(Enum):
    """What the window is doing."""

    EMPTY = "nothing loaded"
    READY = "ready"
    LOADING = "loading"
    TRAINING = "training"
    PLAYING = "playing"
    EXPORTING = "exporting"
    STOPPING = "stopping"


@dataclass
class Settings:
    """What the user has filled in.

    Attributes:
        task: Name of the task.
        num_envs: Environments; None leaves the number to the task and the machine.
        seed: Seed of everything random; -1 draws one.
        checkpoint: File or run to resume, play or export; empty: a new training, or the task's last run.
        device: cpu, cuda or cuda:<n>; empty: the GPU if there is one.
        more: Any other settings as on the command line, such as "task.sim.dt=0.01 engine.shards=2".
    """

    task: str = "Cartpole"
    num_envs: int | None = None
    seed: int = 42
    checkpoint: str = ""
    device: str = ""
    more: str = ""

    def overrides(self, train_dir: str) -> list[str]:
        """Return the command line that means the same."""
        given = {"num_envs": self.num_envs, "checkpoint": self.checkpoint and _quote(self.checkpoint)}
        given = {"train_dir": _quote(train_dir), **given, "sim_device": self.device}
        line = [f"task={self.task}", f"seed={self.seed}"]
        line += [f"{name}={value}" for name, value in given.items() if value not in (None, "")]
        try:
            return [*line, *shlex.split(self.more)]
        except ValueError as error:
            raise MyriadError(f"The settings {self.more} are not understood: {error}.") from None


class Model:
    """The window's state and its buttons.

    Every button returns at once; the work is done by a thread, and physics by whoever drives. Attributes may be read
    from any thread, the buttons are for the one that owns physics.

    Args:
        drive: Who touches physics.
        train_dir: Folder of the runs.

    Attributes:
        settings: What the user has filled in.
        state: What is going on.
        message: One line on how the last thing went.
        run_dir: Folder of the run that this window trained last.
        epoch: The last epoch of that run.
        rewards: Mean episode reward by epoch, from the first that has one.
        speeds: Environment steps per second by epoch.
        result: What the last training, playing or export returned.
    """

    def __init__(self, drive: Drive, train_dir: Path) -> None:
        self.drive = drive
        self.settings = Settings()
        self.state = State.EMPTY
        self.message = ""
        self.run_dir: Path | None = None
        self.epoch: Epoch | None = None
        self.rewards: list[float] = []
        self.speeds: list[float] = []
        self.result: dict[str, Any] | None = None
        self._train_dir = str(train_dir.absolute())
        self._env: VecEnv | None = None
        self._loaded: tuple[str, int] | None = None  # settings and seed of an environment nobody has stepped yet
        self._learner: Learner | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Tell whether something is going on."""
        return self.state not in (State.EMPTY, State.READY)

    @property
    def is_loaded(self) -> bool:
        """Tell whether there is a scene."""
        return self._env is not None

    @property
    def application(self) -> Application | None:
        """Return what draws the scene while physics runs, if there is a scene and an application draws it."""
        engine = self._env.engine if self._env is not None else None
        return engine.application if engine is not None and engine.is_playing() else None

    @property
    def can_stop(self) -> bool:
        """Tell whether there is something to stop."""
        return self.is_busy and self.state is not State.STOPPING

    def tasks(self) -> list[str]:
        """Return the names of Myriad's tasks."""
        return all_tasks()

    # -- the buttons --------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Build the scene of the task."""
        self._start(State.LOADING, self._load)

    def train(self) -> None:
        """Train, exactly as `./myriad train` would with the same settings."""
        self._start(State.TRAINING, self._train)

    def play(self) -> None:
        """Play the checkpoint, or the task's last run."""
        self._start(State.PLAYING, self._play)

    def export(self) -> None:
        """Export the checkpoint, or the task's last run, to ONNX."""
        self._start(State.EXPORTING, self._export)

    def stop(self) -> None:
        """End what is going on; a training writes its checkpoint first."""
        if not self.can_stop:
            return
        self.state = State.STOPPING
        self._stop.set()
        if self._learner is not None:
            self._learner.stop()

    def unload(self) -> None:
        """End whatever is going on and forget the scene: for a window, a stage or an extension that goes away."""
        self.stop()
        if self._thread is not None:
            self.drive.wait_for(self._thread, CLOSE_SECONDS)
        env, self._env, self._loaded = self._env, None, None
        if env is not None:
            env.close()
        if self._thread is None or not self._thread.is_alive():
            self.state = State.EMPTY

    def open_run_folder(self, show: Callable[[str], Any] = webbrowser.open) -> None:
        """Show the folder of the run that was trained last, or else of the task's last run."""
        try:
            show((self.run_dir or Path(last_run(self.settings.task, self._train_dir))).absolute().as_uri())
        except MyriadError as error:
            self.message = str(error)

    # -- the jobs, each on its own thread -----------------------------------------------------------------------------

    def _start(self, state: State, job: Callable[[Any, dict[str, Any]], str]) -> None:
        if self.is_busy:
            raise MyriadError(f"The window is {self.state.value}: stop that first.")
        self._stop = threading.Event()
        self._learner = None
        self.state, self.message = state, ""
        self._thread = threading.Thread(
            target=self._work, args=(job, replace(self.settings)), name=f"myriad-{state.value}", daemon=True
        )
        self._thread.start()

    def _work(self, job: Callable[[Any, dict[str, Any]], str], settings: Settings) -> None:
        try:
            # Here, because Kit starts the extension before anybody may have installed what this imports.
            from omni.myriad.app.config import load_config

            config = load_config(settings.overrides(self._train_dir))  # mistakes are said before what takes seconds
            from omni.myriad.app import runs

            message = job(runs, config)
        except MyriadError as error:
            message = f"Error: {error}"
        except KeyboardInterrupt as interrupt:
            message = f"Stopped: {interrupt}".removesuffix(": ")
        except ModuleNotFoundError as error:
            message = f"Error: {error.name} is missing here: {sys.executable} -m pip install -e '{TASKS_PATH.parent}'"
        except Exception as error:
            logger.exception("the window's job failed")
            message = f"Error: {type(error).__name__}: {error}"
        self._learner = None
        self.message = message
        self.state = State.EMPTY if self._env is None else State.READY

    def _load(self, runs: Any, config: dict[str, Any]) -> str:
        from omni.myriad.learn import base

        num_envs = self._build(config).num_envs
        base.room(config)  # seconds of imports, better spent here than when Train is pressed
        return f"Loaded {config['task_name']}: {num_envs} environments on {config['sim_device']}"

    def _train(self, runs: Any, config: dict[str, Any]) -> str:
        self.run_dir, self.epoch, self.rewards, self.speeds = None, None, [], []
        self.result = result = runs.train(config, self._build, self)
        reward = result["reward_mean"]
        return f"Trained {result['epochs']} epochs: reward {'none yet' if reward is None else f'{reward:.1f}'}"

    def _play(self, runs: Any, config: dict[str, Any]) -> str:
        self.result = result = runs.play(config, self._build)
        return f"Played {result['episodes']} episodes: mean reward {result['reward_mean']:.1f}"

    def _export(self, runs: Any, config: dict[str, Any]) -> str:
        config["checkpoint"] = checkpoint = str(trained_checkpoint(config))
        self.result = result = runs.export(config, self._build)
        parity = result["parity"]
        return f"Exported {checkpoint}; maximum error against {parity['against']} {parity['max_error']:.2g}"

    def _build(self, config: dict[str, Any]) -> Any:
        """Return the loaded environment if it is the one asked for and untouched, else make it.

        An environment is never used twice: PhysX keeps more than a reset writes, and the same seed shall give the
        same scores in the window and without one.
        """
        if self._stop.is_set():
            raise KeyboardInterrupt
        wanted = _essence(config)
        loaded, self._loaded = self._loaded, None
        if self._env is not None and loaded is not None and loaded[0] == wanted:
            config["seed"] = loaded[1]
        else:
            if self._env is not None:
                self.drive.close_env(self._env)
                self._env = None
            env = self.drive.make_env(config)
            if self._stop.is_set():  # nobody may be left who would close it
                self.drive.close_env(env)
                raise KeyboardInterrupt
            self._env = env
        if self.state is State.LOADING:
            self._loaded = (wanted, config["seed"])
        return DrivenEnv(self._env, self.drive, self._stop)

    # -- what a learner tells, as to its `Watch` -----------------------------------------------------------------------

    def started(self, learner: Learner, run_dir: Path) -> None:
        """Take note of who learns, and where."""
        self.run_dir, self._learner = run_dir, learner
        if self._stop.is_set():
            learner.stop()

    def __call__(self, epoch: Epoch) -> None:
        """Take note of an epoch."""
        self.epoch = epoch
        self.speeds.append(epoch.frames_per_second)
        if epoch.reward_mean is not None:
            self.rewards.append(epoch.reward_mean)


def _essence(config: dict[str, Any]) -> str:
    """Return what an environment is made from, as text to be compared."""
    keys = ("task", "engine", "sim_device", "seed", "torch_deterministic", "test", "multi_gpu")
    return json.dumps({key: config[key] for key in keys}, sort_keys=True, default=str)


def _quote(value: str) -> str:
    """Return a value as hydra reads it back, whatever characters it has."""
    return "'" + value.replace("\\'", "\\\\'").replace("'", "\\'") + "'"
