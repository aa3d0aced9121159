# SPDX-License-Identifier: Apache-2.0
"""The side that simulates, on real physics: nothing is read while nobody looks, and what is asked is done."""

import threading
import time
from multiprocessing.connection import Client
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_rotate
from omni.myriad.viewer.source import Source
from omni.myriad.viewer.wire import address_of, pack, unpack


class Viewer:
    """Whoever looks, without a page."""

    def __init__(self, address, env, source):
        self._connection = Client(address, "AF_UNIX")
        until(lambda: source._coming)
        step(env)  # the thread that steps is the one that says what there is to see
        self.scene, self.arrays = unpack(self._connection.recv_bytes())

    def ask(self, what, **more):
        self._connection.send_bytes(pack({"do": what, **more}))

    def frame(self):
        assert self._connection.poll(10), "no picture came"
        return unpack(self._connection.recv_bytes())

    def is_shown_something(self, seconds):
        return self._connection.poll(seconds)

    def close(self):
        self._connection.close()


@pytest.fixture
def watched(env_of, tmp_path):
    """Return a function that makes an environment with a source, someone who looks, and a way to step it."""
    sources = []

    def make(*overrides, **about):
        env = env_of(*overrides)
        sources.append(Source(env, address_of(tmp_path), about))
        env.reset()
        return env, sources[-1], Viewer(address_of(tmp_path), env, sources[-1])

    yield make
    for source in sources:
        source.close()


def step(env, count=1):
    for _ in range(count):
        env.step(torch.zeros((env.num_envs, env.num_actions)))


def looked(env, source, viewer):
    """Return what is seen of the next step, whenever the last look was."""
    while viewer.is_shown_something(0.0):
        viewer.frame()
    source._due, source._pending = 0.0, None
    step(env)
    source._send_if_ready()
    return viewer.frame()


def until(true, seconds=10.0):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    assert true()


def test_what_is_said_arrives():
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((0, 3)), "c": np.array([1], np.int64)}
    message, back = unpack(pack({"do": "x", "n": [1, None, "é"]}, arrays))
    assert message == {"do": "x", "n": [1, None, "é"]}
    assert all(np.array_equal(back[k], v) and back[k].dtype == v.dtype for k, v in arrays.items())
    with pytest.raises((ValueError, KeyError, TypeError)):
        unpack(b"\x03\x00\x00\x00[1]")


def test_the_socket_is_in_a_folder_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    place = address_of(tmp_path / "runs" / "a")
    folder = tmp_path / place.rsplit("/", 1)[0].rsplit("/", 1)[1]
    assert folder.stat().st_mode & 0o777 == 0o700 and place != address_of(tmp_path / "runs" / "b")
    folder.chmod(0o755)
    with pytest.raises(MyriadError, match="nobody else may enter"):
        address_of(tmp_path / "runs" / "a")


def test_looks_that_take_long_are_few_unless_the_run_keeps_to_a_pace(watched, monkeypatch):
    env, source, viewer = watched("task=Cartpole", "num_envs=1")
    viewer.ask("watch", on=True)
    until(lambda: source.is_watched)

    def look():
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass

    monkeypatch.setattr(source, "_look", look)
    for speed, least, most in ((None, 1.9, 20.0), (1.0, 0.0, 0.05)):
        source._speed, source._due = speed, 0.0
        begun = time.perf_counter()
        step(env)
        assert begun + least < source._due < time.perf_counter() + most  # however long others hold this thread up


def test_nothing_is_read_while_nobody_looks_and_poses_are_those_of_the_engine(watched, monkeypatch):
    env, source, viewer = watched("task=Ant", "num_envs=9")
    read = type(env.engine).link_poses
    monkeypatch.setattr(type(env.engine), "link_poses", lambda *_: pytest.fail("link poses were read"))
    step(env, 3)
    assert not source.is_watched and not viewer.is_shown_something(0.1)
    monkeypatch.setattr(type(env.engine), "link_poses", read)

    robot = next(iter(env.engine.robots().values()))
    assert viewer.scene["links"] == [f"Ant/{name}" for name in robot.body_names] and viewer.scene["num_envs"] == 9
    assert {shape["link"] for shape in viewer.scene["shapes"]} == {*viewer.scene["links"]}
    assert sum(stop - start for start, stop in (t["slice"] for t in viewer.scene["terms"])) == env.task.num_observations
    viewer.ask("watch", on=True)
    viewer.ask("show", first=4, count=3)
    until(lambda: source.is_watched)
    step(env, 2)
    viewer.frame()
    source._due = 0.0
    step(env)
    positions, orientations = env.engine.link_poses(robot)
    until(lambda: step(env, 0) is None and source._pending is not None)
    source._send_if_ready()
    frame, arrays = viewer.frame()
    assert frame["envs"][0] == 4 and len(frame["envs"]) == 3
    # Neighbours on the grid of 3 x 3, whose middle is 4.
    places = env.engine.env_positions
    assert all((places[i] - places[4]).norm() <= env.task._env_spacing * 1.01 for i in frame["envs"])
    wanted = torch.cat((positions[frame["envs"]] - places[4], orientations[frame["envs"]]), dim=-1)
    assert torch.equal(torch.from_numpy(arrays["poses"].copy()), wanted)
    assert torch.equal(torch.from_numpy(arrays["observation"][0].copy()), env.task.obs_buf[4])
    viewer.close()
    until(lambda: not source.is_watched)


def test_uneven_ground_is_seen_around_the_robot(watched):
    env, source, viewer = watched("task=Ant", "num_envs=4")
    env.task.terrain = SimpleNamespace(heights_at=lambda points: points[..., 0] + 10.0 * points[..., 1])
    viewer.ask("watch", on=True)
    viewer.ask("show", first=3, count=1)
    until(lambda: source.is_watched and source._asked)
    step(env, 2)
    frames = [viewer.frame()[1] for _ in range(1)]
    while "ground" not in frames[-1]:
        source._due = 0.0
        step(env)
        frames.append(viewer.frame()[1])
    heights, at = frames[-1]["ground"], frames[-1]["ground_at"]
    assert heights.shape == (121, 121)
    middle = torch.from_numpy(at.copy()) + env.engine.env_positions[3, :2]
    assert heights[60, 60] == pytest.approx(float(middle[0] + 10.0 * middle[1]), abs=1e-3)
    assert heights[70, 55] - heights[60, 60] == pytest.approx(1.0 - 5.0, abs=1e-3), "0.1 m from one to the next"


@pytest.mark.parametrize("engine", ["physx", "newton"])
def test_contact_forces_are_told_while_they_are_asked_for_and_carry_what_stands(watched, engine):
    env, source, viewer = watched("task=Ant", "num_envs=4", f"engine={engine}", "task.sim.contact_reports=True")
    step(env, 80)  # they have landed, and stand
    viewer.ask("watch", on=True)
    until(lambda: source.is_watched)
    assert "contacts" not in looked(env, source, viewer)[1] and source._contacts is None
    viewer.ask("contacts", on=True)
    until(lambda: source._asked)
    forces = np.mean([looked(env, source, viewer)[1]["contacts"] for _ in range(30)], axis=0)
    masses = next(iter(env.engine.robots().values())).get_body_masses().sum(-1)
    assert forces[..., 2].sum(axis=1) == pytest.approx(9.81 * masses.numpy(), rel=0.1)
    pressed = {viewer.scene["links"][link].split("/")[1] for _, link in np.argwhere(forces[..., 2] > 0.1)}
    assert pressed and all(name.endswith("foot") for name in pressed)
    viewer.ask("contacts", on=False)
    until(lambda: source._asked)
    looked(env, source, viewer)
    assert "contacts" not in looked(env, source, viewer)[1]


def test_who_asks_for_contact_forces_that_nobody_reports_is_told_the_setting(watched):
    env, source, viewer = watched("task=Ant", "num_envs=2")
    viewer.ask("watch", on=True)
    viewer.ask("contacts", on=True)
    until(lambda: source.is_watched and source._asked)
    frame, arrays = looked(env, source, viewer)
    assert "task.sim.contact_reports=True" in frame["no_contacts"] and "contacts" not in arrays


def test_what_cameras_saw_last_is_shown_and_nothing_is_drawn_for_it(watched, monkeypatch):
    env, source, viewer = watched(
        "task=CartpoleCamera", "num_envs=3", "task.env.cameraWidth=24", "task.env.cameraHeight=16"
    )
    (camera,) = viewer.scene["cameras"]
    assert camera["aspect"] == 1.5 and camera["field_of_view"] == pytest.approx(2 * np.arctan(20.955 / 1.5 / 2 / 24.0))
    viewer.ask("watch", on=True)
    viewer.ask("show", first=2, count=1)
    until(lambda: source.is_watched and len(source._asked) == 1)
    step(env, 3)
    drawn = env.task.camera._drawn_at
    env.engine.num_steps += 1  # the next who asks for pictures would draw
    source._pictures_due = 0.0
    found = source._pictures(source._ids, env.engine.env_positions[2:3])
    assert torch.equal(found["picture 0 rgb"][0], env.task.obs_buf["camera"][2, ..., 3:])
    assert env.task.camera._drawn_at == drawn
    # It looks from (-4.2, 0, 3) along x: the picture's right is -y, its down -z.
    assert found["eye 0"][0, :3].tolist() == pytest.approx([-4.2, 0.0, 3.0], abs=1e-5)
    right = quat_rotate(found["eye 0"][:, 3:], torch.tensor([[1.0, 0.0, 0.0]]))[0]
    assert right.tolist() == pytest.approx([0.0, -1.0, 0.0], abs=1e-5)
    arrays = looked(env, source, viewer)[1]
    while "picture 0 rgb" not in arrays:
        source._pictures_due = 0.0
        arrays = looked(env, source, viewer)[1]
    assert arrays["picture 0 rgb"].shape == (1, 16, 24, 3)


def test_it_pauses_steps_once_and_goes_on(watched):
    env, source, viewer = watched("task=Cartpole", "num_envs=4")
    viewer.ask("watch", on=True)
    until(lambda: source.is_watched)
    taken, ended = [], threading.Event()

    def go():
        while not ended.is_set():
            step(env)
            taken.append(1)

    thread = threading.Thread(target=go)
    thread.start()
    viewer.ask("pause", on=True)
    until(lambda: source._is_paused)
    time.sleep(0.1)
    before = len(taken)
    time.sleep(0.2)
    assert len(taken) == before, "it stands"
    viewer.ask("step")
    until(lambda: len(taken) == before + 1)
    time.sleep(0.2)
    assert len(taken) == before + 1, "one step was asked for"
    viewer.ask("pause", on=False)
    until(lambda: len(taken) > before + 3)
    viewer.ask("pause", on=True)
    until(lambda: source._is_paused)
    viewer.close()
    until(lambda: len(taken) > before + 20)  # who leaves lets it go on
    ended.set()
    thread.join(10)
    assert not thread.is_alive()


def test_whoever_asks_the_run_to_end_ends_a_pause(watched):
    env, source, viewer = watched("task=Cartpole", "num_envs=4")
    viewer.ask("watch", on=True)
    viewer.ask("pause", on=True)
    until(lambda: source.is_watched and source._asked)
    threading.Timer(0.2, source.release).start()
    start = time.monotonic()
    step(env)
    assert 0.15 < time.monotonic() - start < 5.0


def test_robots_are_pushed_and_reset_and_odd_wishes_do_nothing(watched, caplog):
    env, source, viewer = watched("task=Ant", "num_envs=4")
    viewer.ask("watch", on=True)
    until(lambda: source.is_watched)
    step(env, 5)
    robot = next(iter(env.engine.robots().values()))
    before = robot.get_velocities().clone()
    for wish in (
        {"do": "push", "env": "x"},
        {"do": "show"},
        {"do": "reset", "env": None},
        {"do": "command", "said": [1]},
    ):
        viewer.ask(**{"what": wish.pop("do")}, **wish)
    viewer.ask("push", env=2, velocity=[0.0, 3.0, 0.0])
    until(lambda: len(source._asked) == 5)
    source._obey()
    after = robot.get_velocities()
    assert torch.allclose(after[2, :3] - before[2, :3], torch.tensor([0.0, 3.0, 0.0]), atol=1e-5)
    assert torch.equal(after[[0, 1, 3]], before[[0, 1, 3]])
    assert "cannot be done" in caplog.text
    viewer.ask("reset", env=99)  # the last one
    until(lambda: len(source._asked) == 1)
    before = env.task.progress_buf.clone()
    step(env, 2)  # what is asked in one is done in the next
    assert torch.equal(env.task.progress_buf[:3], before[:3] + 2) and env.task.progress_buf[3] == 1


def test_a_robot_that_is_held_is_pushed_in_its_joints(watched):
    env, source, viewer = watched("task=Cartpole", "num_envs=2")
    robot = next(iter(env.engine.robots().values()))
    before = robot.get_joint_velocities().clone()
    viewer.ask("push", env=1, velocity=[1.5, 0.0, 0.0])
    until(lambda: len(source._asked) == 1)
    source._obey()
    change = (robot.get_joint_velocities() - before).abs()
    assert torch.allclose(change[1], torch.full_like(change[1], 1.5), atol=1e-5) and not change[0].any()


def test_it_goes_at_the_pace_that_is_asked(watched):
    env, source, viewer = watched("task=Cartpole", "num_envs=2")
    dt = env.engine.physics_dt * env.task.control_frequency_inv
    viewer.ask("watch", on=True)
    viewer.ask("speed", factor=0.5)
    until(lambda: source.is_watched and source._asked)
    start = time.monotonic()
    step(env, 10)
    assert time.monotonic() - start >= 9 * dt / 0.5
