# SPDX-License-Identifier: Apache-2.0
"""Isaac Sim is found, started and left as it has to be; Kit itself is replaced by a class that records."""

import os
import signal
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from omni.myriad import engine
from omni.myriad.app.config import load_config
from omni.myriad.engine import SimConfig, choose, make_engine
from omni.myriad.engine.isaacsim import app
from omni.myriad.errors import MyriadError
from omni.myriad.places import ROOT

KITS = ("pxr", "carb", "usdrt", "ovphysx", "ovstage")


class RecordingApp:
    """Takes SimulationApp's place: does what Kit does to a process that starts it."""

    started: list["RecordingApp"]

    def __init__(self, config: dict[str, Any], experience: str = "") -> None:
        self.config, self.experience, self.argv, self.closed = config, experience, list(sys.argv), False
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.started.append(self)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def isaac_sim(monkeypatch):
    """Pretend that Isaac Sim is installed, in a process that has loaded no physics."""
    for name in [name for name in sys.modules if name.split(".")[0] in KITS or name == "omni.kit.app"]:
        monkeypatch.delitem(sys.modules, name)
    package: Any = ModuleType("isaacsim")
    package.SimulationApp = RecordingApp
    monkeypatch.setitem(sys.modules, "isaacsim", package)
    monkeypatch.setattr(app, "_app", None)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(RecordingApp, "started", [], raising=False)
    return RecordingApp.started


def config(*overrides: str) -> SimConfig:
    return SimConfig(load_config(["task=Cartpole", "num_envs=4", "sim_device=cpu", *overrides]))


def test_without_isaac_sim_auto_is_standalone_physx():
    assert choose(config()) == "physx"


def test_with_isaac_sim_auto_is_isaac_sim(isaac_sim):
    assert choose(config()) == "isaacsim"
    assert choose(config("engine=physx")) == "physx"


@pytest.mark.parametrize(("folder", "found"), [("apps", True), ("docs", False)])
def test_a_stub_of_the_same_name_is_no_isaac_sim(folder, found, tmp_path, monkeypatch):
    (tmp_path / "isaacsim" / folder).mkdir(parents=True)
    (tmp_path / "isaacsim/__init__.py").write_text("raise RuntimeError('this must not be imported to be found')")
    monkeypatch.syspath_prepend(tmp_path)

    assert app.is_available() is found


def test_asked_for_and_missing_says_what_to_do():
    before = engine.ArticulationView
    with pytest.raises(MyriadError, match=r"engine=isaacsim needs Isaac Sim.*ISAACSIM_PATH.*engine=physx"):
        make_engine(config("engine=isaacsim"))
    assert engine.ArticulationView is before, "an engine that cannot start is not selected"


def test_kit_sees_no_overrides_and_ctrl_c_stays_ours(isaac_sim, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "task=Cartpole", "num_envs=4"])
    before = signal.getsignal(signal.SIGINT)

    app.start(config("engine=isaacsim", "headless=False", "engine.kit_args=['--/app/a=1']"))

    assert isaac_sim[0].argv == ["train.py"]
    assert sys.argv == ["train.py", "task=Cartpole", "num_envs=4"]
    assert signal.getsignal(signal.SIGINT) is before
    assert isaac_sim[0].config["headless"] is False
    assert isaac_sim[0].config["extra_args"] == ["--/app/a=1"]
    assert app.draws_frames()


def test_gpu_of_the_run_is_gpu_of_kit(isaac_sim):
    sim_config = config("engine=isaacsim")
    sim_config.config["sim_device"] = "cuda:3"

    app.start(sim_config)

    assert isaac_sim[0].config["physics_gpu"] == isaac_sim[0].config["active_gpu"] == 3


def test_a_livestream_draws_what_no_display_shows(isaac_sim, monkeypatch):
    monkeypatch.setattr(app, "_start_livestream", lambda: None)
    app.start(config("engine=isaacsim", "engine.livestream=True", "engine.kit_args=['--/app/a=1']"))

    launch = isaac_sim[0].config
    assert launch["headless"] and not launch["hide_ui"] and not launch["disable_viewport_updates"]
    assert any("streamType=webrtc" in argument for argument in launch["extra_args"])
    assert launch["extra_args"][-1] == "--/app/a=1"
    assert app.draws_frames()


def test_without_anybody_to_see_them_no_frames_are_drawn(isaac_sim):
    app.start(config("engine=isaacsim"))

    assert isaac_sim[0].config["disable_viewport_updates"] and not app.draws_frames()
    assert isaac_sim[0].experience == ""


def test_experiences_are_found_by_path_and_by_name(isaac_sim, tmp_path, monkeypatch):
    monkeypatch.setenv("EXP_PATH", str(tmp_path))
    (tmp_path / "isaacsim.exp.full.kit").touch()
    own = tmp_path / "own" / "own.kit"
    own.parent.mkdir()
    own.touch()
    for asked, found in (
        ("isaacsim.exp.full", "isaacsim.exp.full.kit"),
        ("isaacsim.exp.full.kit", "isaacsim.exp.full.kit"),
        (str(own), "own/own.kit"),
    ):
        app.start(config("engine=isaacsim", f"engine.experience={asked}"))
        assert isaac_sim[-1].experience == str(tmp_path / found)
    app.start(config("engine=isaacsim", "engine.experience=headless"))
    assert isaac_sim[-1].experience == str(ROOT / "cfg/kit/headless.kit")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["engine.experience=nope"], "engine.experience=nope is no .kit file; there are: headless"),
        (["engine.experience=headless", "headless=False"], "draws nothing"),
        (["engine.experience=headless", "engine.livestream=True"], "draws nothing"),
    ],
)
def test_experiences_that_cannot_be_are_said(overrides, message, isaac_sim, monkeypatch):
    monkeypatch.delenv("EXP_PATH", raising=False)
    with pytest.raises(MyriadError, match=message):
        app.start(config("engine=isaacsim", *overrides))
    assert not isaac_sim


@pytest.mark.parametrize(("module", "message"), [("pxr", "imported before"), ("ovphysx", "cannot share a process")])
def test_what_was_loaded_too_early_is_named(module, message, isaac_sim, monkeypatch):
    monkeypatch.setitem(sys.modules, module, ModuleType(module))

    with pytest.raises(MyriadError, match=message):
        app.start(config("engine=isaacsim"))
    assert not isaac_sim


def test_exit_codes_pass_kit(isaac_sim, monkeypatch):
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    app.leave(2)
    assert codes == []  # no Kit, nothing to leave

    app.start(config("engine=isaacsim"))
    app.leave(0)
    assert isaac_sim[0].closed
    assert codes == []

    app.leave(2)
    assert codes == [2]


def test_nothing_of_kits_is_imported_before_it_starts():
    code = f"import sys, omni.myriad.app.runs, omni.myriad.app.cli; print([n for n in {KITS} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)

    assert done.stdout.strip() == "[]", done.stderr
