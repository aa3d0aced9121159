# SPDX-License-Identifier: Apache-2.0
"""The window's logic through whole stories on real physics, which a loop owns as in Kit."""

import asyncio
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError
from omni.myriad.ui.drive import Drive, RenderMode
from omni.myriad.ui.model import Model, Settings, State

TINY = "train.params.config.horizon_length=8 train.params.config.minibatch_size=64 train.params.config.mini_epochs=2"


def tiny_model(folder: Path, drive: Drive, epochs: int = 3) -> Model:
    model = Model(drive, folder)
    model.settings = Settings("Cartpole", num_envs=16, seed=7, device="cpu", more=f"{TINY} max_iterations={epochs}")
    return model


def wait(model: Model, seconds: float) -> None:
    """Wait until what is going on has ended."""
    assert model._thread is not None
    model._thread.join(seconds)


def rewards_of(run_dir: Path) -> list[str]:
    """Return what was learned, without what depends on the clock."""
    header, *rows = [line.split(",") for line in (run_dir / "progress.csv").read_text().splitlines()]
    kept = [i for i, name in enumerate(header) if "second" not in name]
    return [",".join(row[i] for i in kept) for row in rows]


class Loop:
    """An asyncio loop in a thread that owns physics, as Kit's does; counts the frames that it draws."""

    def __init__(self):
        self.frames = {True: 0, False: 0}
        self.threads = set()
        self.drive = Drive(self.make_env, self.draw_frame)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))
        self.loop: asyncio.AbstractEventLoop | None = None

    async def run(self):
        self.loop = asyncio.get_running_loop()
        self.serving = asyncio.ensure_future(self.drive.serve())
        try:
            await self.serving
        except asyncio.CancelledError:
            self.drive.shut()

    async def make_env(self, config):
        env = runs.make_env(config)
        step = env.step

        def noted_step(actions):
            self.threads.add(threading.current_thread())
            return step(actions)

        env.step = noted_step
        return env

    async def draw_frame(self, with_scene):
        self.frames[with_scene] += 1
        await asyncio.sleep(0.001)

    def call(self, function):
        """Call a function on the loop, as a click or an event of Kit's does."""

        async def on_loop():
            return function()

        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(on_loop(), self.loop).result(30)

    def end(self):
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.serving.cancel)
        self.thread.join(10)


@pytest.fixture
def kit():
    loop = Loop()
    loop.thread.start()
    while loop.loop is None:
        time.sleep(0.01)
    yield loop
    loop.end()
    assert not loop.thread.is_alive()


@pytest.fixture(scope="module")
def headless(tmp_path_factory) -> Path:
    """The folder of a run without any window, with the settings of `tiny_model`."""
    folder = tmp_path_factory.mktemp("headless")
    line = tiny_model(folder, Loop().drive).settings.overrides(str(folder))
    runs.train(load_config([*line, "experiment=headless"]))
    return folder / "headless"


class Driven:
    """A model, and a hand that presses its buttons where physics lives."""

    def __init__(self, folder: Path, kit: Loop):
        self.model = tiny_model(folder, kit.drive)
        self.call = kit.call

    def press(self, button):
        """Press a button and wait until it is done."""
        self.call(button)
        wait(self.model, 120)
        assert not self.model.is_busy


@pytest.fixture
def driven(kit, tmp_path):
    driven = Driven(tmp_path, kit)
    yield driven
    driven.call(driven.model.unload)


def test_a_whole_story(driven, headless):
    model, press = driven.model, driven.press
    assert {"Ant", "Cartpole", "ShadowHandOpenAI_LSTM"} <= set(model.tasks())  # the last has no file of its own
    press(model.load)
    assert model.state is State.READY and model.is_loaded, model.message
    assert model.message == "Loaded Cartpole: 16 environments on cpu"

    loaded = model._env
    press(model.train)
    assert model.message.startswith("Trained 3 epochs"), model.message
    assert model._env is loaded, "what Load had built was built again"
    first = model.run_dir
    assert first is not None
    assert len(model.speeds) == 3 and min(model.speeds) > 0.0
    assert model.epoch is not None and model.epoch.frames == 3 * 8 * 16
    assert rewards_of(first) == rewards_of(headless), "the window changed the scores"

    press(model.play)
    assert model.message.startswith("Played 100 episodes"), model.message
    assert json.loads((first / "play.json").read_text())["reward_mean"] == model.result["reward_mean"]

    press(model.export)
    assert model.message.startswith("Exported"), model.message
    assert (first / "exported" / "policy.onnx").stat().st_size > 1000

    played_in = model._env
    press(model.train)
    assert model._env is not played_in, "environments that have been played in were trained in"
    assert model.run_dir != first
    assert rewards_of(model.run_dir) == rewards_of(headless)

    shown = []
    model.open_run_folder(shown.append)
    assert shown == [model.run_dir.as_uri()]


@pytest.mark.parametrize("learner", ["rsl_rl", "skrl", "sb3"])
def test_other_learners_train_play_and_export_there(driven, learner):
    model, press = driven.model, driven.press
    model.settings.more += f" learner={learner}"
    press(model.train)
    assert model.message.startswith("Trained 3 epochs"), model.message
    assert model.epoch is not None and model.epoch.frames == 3 * 8 * 16
    press(model.play)
    assert model.message.startswith("Played 100 episodes"), model.message
    press(model.export)
    assert model.message.startswith("Exported"), model.message


def test_stop_ends_within_a_second_and_leaves_a_checkpoint_to_go_on_with(driven):
    model, press = driven.model, driven.press
    model.settings.more = f"{TINY} max_iterations=100000"
    times = []

    def stop_after_five_epochs():
        while len(model.speeds) < 5:
            time.sleep(0.005)
        times.append(time.monotonic())
        model.stop()

    threading.Thread(target=stop_after_five_epochs).start()
    press(model.train)
    assert time.monotonic() - times[0] < 1.0
    assert model.message.startswith("Stopped: stopped after epoch"), model.message
    assert (model.run_dir / "checkpoints" / "last.pth").is_file()
    stopped_in = model.epoch.epoch
    assert stopped_in >= 5

    press(model.export)  # of a run that was stopped, and so had no time to record observations
    assert model.message.startswith("Exported"), model.message

    model.settings.checkpoint = str(model.run_dir)
    model.settings.more = f"{TINY} max_iterations={stopped_in + 2}"
    press(model.train)
    assert model.result["epochs"] == stopped_in + 2, model.message


def test_physics_is_stepped_by_the_loop_alone(kit, tmp_path):
    model = tiny_model(tmp_path, kit.drive)
    kit.call(model.train)
    wait(model, 120)
    assert model.message.startswith("Trained"), model.message
    assert kit.threads == {kit.thread}
    kit.call(model.unload)


@pytest.mark.parametrize(
    ("mode", "drawn"), [(RenderMode.EVERY_STEP, 25), (RenderMode.EVERY_NTH, 5), (RenderMode.UI_ONLY, 0)]
)
def test_frames_are_drawn_as_asked(kit, tmp_path, monkeypatch, mode, drawn):
    model = tiny_model(tmp_path, kit.drive)
    model.drive.mode, model.drive.interval = mode, 5
    nothing = SimpleNamespace(save=lambda _: None)
    monkeypatch.setattr(runs.recording, "record", lambda *_: nothing)  # whose steps come on top
    kit.call(model.train)
    wait(model, 120)
    assert model.message.startswith("Trained"), model.message
    assert abs(kit.frames[True] - drawn) <= 1  # of 3 epochs of 8 steps, and a reset, which is one
    assert kit.frames[False] > 0
    kit.call(model.unload)


def test_unload_in_the_middle_of_training_leaves_nothing_behind(driven):
    model = driven.model
    model.settings.more = f"{TINY} max_iterations=100000"
    driven.call(model.train)
    while len(model.speeds) < 3:
        time.sleep(0.005)
    env = model._env
    start = time.monotonic()
    driven.call(model.unload)
    assert time.monotonic() - start < 2.0
    assert model.state is State.EMPTY and not model.is_loaded
    assert not env.engine.is_playing()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("myriad-")]
    assert (model.run_dir / "checkpoints" / "last.pth").is_file()


def test_end_of_the_loop_ends_a_training(tmp_path):
    kit = Loop()
    kit.thread.start()
    while kit.loop is None:
        time.sleep(0.01)
    model = tiny_model(tmp_path, kit.drive, epochs=100000)
    kit.call(model.train)
    while len(model.speeds) < 2:
        time.sleep(0.005)
    kit.end()
    wait(model, 10)
    assert not model.is_busy
    assert model._env is not None
    model._env.close()


def test_physics_stopped_from_outside_is_said(kit, tmp_path, monkeypatch):
    model = tiny_model(tmp_path, kit.drive, epochs=100000)
    kit.call(model.train)
    while len(model.speeds) < 2:
        time.sleep(0.005)
    assert model._env is not None
    monkeypatch.setattr(model._env.engine, "is_playing", lambda: False)
    wait(model, 30)
    assert "Physics was stopped or paused from outside" in model.message
    assert model.state is State.READY
    kit.call(model.unload)


def test_one_thing_at_a_time(driven):
    model = driven.model
    driven.call(model.load)
    with pytest.raises(MyriadError, match="loading"):
        model.train()
    wait(model, 60)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"task": "Antt"}, "did you mean Ant"),
        ({"more": "train.params.config.gama=0.9"}, "did you mean"),
        ({"more": "'"}, "not understood"),
        ({"checkpoint": "it's/nowhere.pth"}, "it's/nowhere.pth does not exist"),
    ],
)
def test_mistakes_end_in_a_message(tmp_path, change, complaint):
    model = tiny_model(tmp_path, Loop().drive)
    for name, value in change.items():
        setattr(model.settings, name, value)
    model.train()
    wait(model, 30)
    assert model.message.startswith("Error: ") and complaint in model.message
    assert model.state is State.EMPTY


def test_open_run_folder_without_a_run_is_a_message(tmp_path):
    model = tiny_model(tmp_path, Loop().drive)
    model.open_run_folder(pytest.fail)
    assert "No run of Cartpole" in model.message
