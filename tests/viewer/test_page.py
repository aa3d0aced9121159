# SPDX-License-Identifier: Apache-2.0
"""The page: who looks is told to the source; in a browser (nightly) robots move, pause, and nothing complains."""

import io
import re
import shutil
import subprocess
import sys
import threading
import time
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from omni.myriad.places import ROOT
from omni.myriad.viewer.wire import pack, unpack

pytest.importorskip("viser")  # which Isaac Sim's Python lacks
from omni.myriad.viewer.page import Page, numbers_table
from tests.viewer.client import Client

SCENE = {
    "kind": "scene",
    "task": "Ball",
    "title": "<b>Ball</b>",
    "engine": "none",
    "device": "cpu",
    "num_envs": 4,
    "links": ["Ball/ball", "target"],
    "shapes": [
        {
            "link": link, "kind": kind, "size": size, "position": [0, 0, 0], "rotation": [0, 0, 0, 1],
            "colour": [0.9, 0.1, 0.1], "collider": collider,
        }
        for link, kind, size, collider in (
            ("Ball/ball", "sphere", [0.5], False), ("Ball/ball", "capsule", [0.1, 0.3], True),
            ("target", "box", [0.1, 0.1, 0.1], False), ("target", "cylinder", [0.1, 0.1], False),
        )
    ],
    "terms": [],
    "dt": 0.1,
    "has_command": True,
    "num_markers": 1,
    "is_plane": True,
    "ground_step": 0.1,
    "policies": ["best.pth"],
    "cameras": [{"name": "eye", "count": 1, "field_of_view": 0.8, "aspect": 1.5}],
}  # fmt: skip


@pytest.fixture
def page():
    here, there = Pipe()
    here.send_bytes(pack(SCENE))
    opened = Page(there, "127.0.0.1", 0)
    thread = threading.Thread(target=opened.run)
    thread.start()
    yield opened, here
    here.close()
    thread.join(10)
    assert not thread.is_alive(), "it ends with the run"


def asked(connection, seconds=10.0):
    assert connection.poll(seconds), "nothing was asked"
    return unpack(connection.recv_bytes())[0]


def test_somebody_looks_from_when_a_browser_comes_until_it_leaves(page):
    opened, run = page
    assert not run.poll(0.2), "nobody looks"
    client = Client(opened.port)
    assert asked(run) == {"do": "watch", "on": True}
    poses = np.zeros((2, 2, 7), np.float32)
    poses[..., 3] = 1.0
    ground = {"ground": np.tile(np.arange(5.0), (5, 1)), "ground_at": np.array([0.2, 0.0])}
    arrays = ground | {"poses": poses, "rewards": np.ones(2), "progress": np.ones(2), "observation": np.ones((1, 3))}
    run.send_bytes(pack({"kind": "frame", "envs": [0, 1], "paused": False, "speed": None, "steps": 1}, arrays))
    assert sum(client.read(2.0)) > 1000, "shapes and poses"
    assert "&lt;b&gt;" in opened._status.content
    # The robot is at the origin, two cells before the middle, of which the ground goes up along y.
    assert opened._ring.position[2] == pytest.approx(2.0 + 0.01) and len(opened._ground.vertices) == 25
    client.close()
    assert asked(run) == {"do": "watch", "on": False}


def test_contacts_are_arrows_from_where_they_press_and_cameras_are_pictures_with_outlines(page):
    opened, run = page
    client = Client(opened.port)
    asked(run)
    opened._with_contacts.value = True
    assert asked(run) == {"do": "contacts", "on": True}
    poses = np.zeros((2, 2, 7), np.float32)
    poses[..., 3] = 1.0
    poses[1, 0, :2] = (2.0, 4.0)
    forces = np.zeros((2, 2, 3), np.float32)
    forces[1, 0] = (
        0.0,
        0.0,
        10.0,
    )  # on the ball of environment 1, whose collider is a capsule to 0.4 m below its middle
    eye = np.array([[0.0, 0.0, 3.0, 1.0, 0.0, 0.0, 0.0]], np.float32)
    arrays = {
        "poses": poses, "rewards": np.ones(2), "progress": np.ones(2), "contacts": forces, "eye 0": eye,
        "picture 0 rgb": np.full((1, 4, 6, 3), 200, np.uint8), "picture 0 depth": np.ones((1, 4, 6, 1), np.float32),
    }  # fmt: skip
    frame = {"kind": "frame", "envs": [0, 1], "paused": False, "speed": None, "steps": 1}
    opened._size = 2.0
    run.send_bytes(pack(frame, arrays))
    client.read(1.0)
    (arrow,) = opened._arrows.points
    # In the mean 5 N press on a robot, which is an arrow twice its size: three quarters of that is the longest.
    assert arrow == pytest.approx(np.array([[2.0, 4.0, -0.4], [2.0, 4.0, 2.6]]), abs=0.01) and opened._arrows.visible
    assert "3.75 N" in opened._with_contacts.label
    assert set(opened._pictures) == {"eye: rgb", "eye: depth"} and opened._eyes[0][0].position[2] == 3.0
    run.send_bytes(
        pack(frame | {"no_contacts": "say so"}, {name: arrays[name] for name in ("poses", "rewards", "progress")})
    )
    client.read(1.0)
    assert not opened._arrows.visible and opened._with_contacts.disabled and opened._with_contacts.hint == "say so"
    client.close()


def test_numbers_are_a_table_of_terms_in_which_text_is_text():
    table = numbers_table([{"name": "<i>height", "slice": [0, 2]}], np.array([1.5, -2.0, 9.0]), "a note")
    assert "&lt;i&gt;height" in table and "1.5  -2" in table and ">9<" not in table


@pytest.mark.nightly
def test_in_a_browser_robots_move_until_they_are_paused(tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    assert browser, "this test needs Chromium: apt-get install chromium"
    from PIL import Image
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "omni.myriad", "train", "task=Ant", "num_envs=16", "sim_device=cpu", "viewer=True"]
    command += ["viewer_port=0", "max_iterations=100000", f"train_dir={tmp_path}", "experiment=seen"]
    command += ["task.sim.contact_reports=True"]
    log = tmp_path / "log"
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out) as training:
        try:
            address = _wait_for(log, r"Live page: (http://127\.0\.0\.1:\d+)")
            with sync_playwright() as playwright:
                options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
                window = playwright.chromium.launch(executable_path=browser, args=options)
                tab = window.new_page(viewport={"width": 900, "height": 600})
                errors: list[str] = []
                tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
                tab.on("pageerror", lambda error: errors.append(str(error)))
                tab.goto(address)
                tab.get_by_text("into its episode").wait_for(timeout=60_000)
                time.sleep(5.0)

                def picture():
                    shot = Image.open(io.BytesIO(tab.screenshot(clip={"x": 0, "y": 200, "width": 560, "height": 400})))
                    return np.asarray(shot.convert("RGB")).astype(int)

                first, second = picture(), (time.sleep(2.0), picture())[1]
                assert np.abs(first - second).max() > 60, "robots move"
                tab.get_by_role("button", name="Pause").click()
                tab.get_by_text("Go on").wait_for(timeout=20_000)
                end = time.monotonic() + 45.0  # a browser without a GPU may be seconds behind
                first, second = picture(), (time.sleep(2.0), picture())[1]
                while np.abs(first - second).max() >= 40:
                    assert time.monotonic() < end, "a pause stops them"
                    first, second = second, (time.sleep(2.0), picture())[1]
                epochs = (tmp_path / "seen" / "progress.csv").read_text()
                time.sleep(1.0)
                assert (tmp_path / "seen" / "progress.csv").read_text() == epochs, "and the training"
                tab.get_by_role("button", name="Go on").click()
                tab.get_by_label("Contact forces").first.click()
                tab.get_by_text("longest:").wait_for(timeout=20_000)
                tab.get_by_role("tab", name="Observation").click()
                tab.get_by_text("joint_positions").wait_for(timeout=20_000)
                assert errors == []
                window.close()
        finally:
            training.terminate()
            assert training.wait(60) == 143, log.read_text()


def _wait_for(log: Path, what: str) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if found := re.search(what, log.read_text()):
            return found[1]
        time.sleep(0.2)
    raise AssertionError(log.read_text())
