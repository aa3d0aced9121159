# SPDX-License-Identifier: Apache-2.0
"""The side of a live page that simulates: it says where robots are while somebody looks, and does what is asked."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from omni.myriad.engine.base import rows_of
from omni.myriad.engine.camera.view import CameraView
from omni.myriad.engine.shapes import Shape, is_held, robot_shapes
from omni.myriad.errors import MyriadError
from omni.myriad.render.contacts import Contacts
from omni.myriad.render.poses import Poses, neighbours
from omni.myriad.task.commands import VelocityCommands
from omni.myriad.task.terms import describe_terms
from omni.myriad.viewer.wire import pack, unpack

if TYPE_CHECKING:
    from omni.myriad.env.vec_env import VecEnv

logger = logging.getLogger(__name__)

LOOKS_PER_SECOND = 20
_MOST_SHARE = 0.01  # of the time of a run that goes as fast as it can, which looks may take
_MOST_SHOWN = 64
_GROUND_SECONDS = 1.0  # between looks at uneven ground
_GROUND_HALF, _GROUND_STEP = 60, 0.1  # points to each side of the robot, and m between them
_PICTURE_SECONDS = 0.2  # between looks at cameras
_HELD_SECONDS = 0.02  # between looks at what is asked while it is paused


class Source:
    """Watches an environment after each of its steps.

    While nobody looks that is one attribute that is read. While somebody does, the poses of the chosen environments are
    copied at most `LOOKS_PER_SECOND` times a second, from a GPU without waiting for it, and leave on another thread;
    less often where that would take more than a hundredth of the time of a run that goes as fast as it can.

    Args:
        env: The environment, whose task has started.
        address: The socket to listen at; nobody may be listening there.
        about: What the page shows of the run, each optional: `title`, `run_dir`, `policies` (names), and `real_time`,
            whether it goes at that pace at first.

    Attributes:
        chosen_policy: The number of the policy that was asked for, None where none was; whoever plays resets it.
    """

    def __init__(self, env: VecEnv, address: str, about: Mapping[str, Any]) -> None:
        self._env, self._about, self._address = env, dict(about), address
        self._task, self._world = env.task, env.engine
        self.chosen_policy: int | None = None
        self._viewers: list[_Viewer] = []
        self._asked: deque[dict[str, Any]] = deque()
        self._lock = threading.Lock()
        self._coming: deque[Connection] = deque()
        self._is_active = self._is_watched = self._is_paused = self._is_released = False
        self._steps_left = 0
        self._usual_speed = 1.0 if about.get("real_time") else None
        self._speed: float | None = self._usual_speed
        self._due = self._step_due = self._ground_due = self._pictures_due = 0.0
        self._spent = 0.0  # s of this thread since the last look
        self._with_contacts, self._contacts, self._no_contacts = False, None, ""
        self._cameras = [view for view in self._world.scene.views() if isinstance(view, CameraView)]
        self._steps = 0
        self._pending: tuple[dict[str, Any], dict[str, torch.Tensor], Any] | None = None
        self._poses: Poses | None = None  # before somebody looks
        self._ids, self._chosen = torch.zeros(1, dtype=torch.long, device=env.device), [0]
        with contextlib.suppress(OSError):
            Path(address).unlink()  # of a process that was killed
        self._listener = Listener(address, "AF_UNIX")
        threading.Thread(target=self._accept, name="viewers", daemon=True).start()
        env.watchers.append(self)

    def close(self) -> None:
        """Let all who look go."""
        self._is_released = True
        if self in self._env.watchers:
            self._env.watchers.remove(self)
        with contextlib.suppress(OSError):
            Client(self._address, "AF_UNIX").close()  # wakes the thread that accepts
        self._listener.close()
        self._hang_up()

    def _hang_up(self) -> None:
        for viewer in list(self._viewers):
            viewer.close()

    @property
    def is_watched(self) -> bool:
        """Whether somebody looks."""
        return self._is_watched

    def release(self) -> None:
        """Hold the run up no longer: it has been asked to end."""
        self._is_released = True

    # -- on the thread that simulates ---------------------------------------------------------------------------------

    def after_step(self) -> None:
        """Look, if somebody does, and hold the run up while it is paused or slowed down."""
        if not self._is_active or self._is_released:
            return
        self._steps += 1
        try:
            self._welcome()
            if not self._is_watched:
                return
            now, before = time.perf_counter(), time.thread_time()
            self._obey()
            self._send_if_ready()
            if is_due := now >= self._due:
                self._look()
            self._spent += time.thread_time() - before
            if is_due:
                dear = 0.0 if self._speed else self._spent / _MOST_SHARE
                self._due, self._spent = now + max(1.0 / LOOKS_PER_SECOND, dear), 0.0
            self._hold()
        except Exception:  # to be looked at must end no training
            logger.warning("the live page is closed", exc_info=True)
            self._is_released = True
            self._hang_up()

    def wait_for_somebody(self) -> None:
        """Return once somebody looks, or the run has been asked to end; for who would step for nobody else."""
        while not self._is_watched and not self._is_released:
            self._welcome()
            time.sleep(0.1)

    def _welcome(self) -> None:
        """Tell those who have come what there is to see: here, because other threads must not touch a GPU."""
        while self._coming:
            connection = self._coming.popleft()
            try:
                if self._poses is None:
                    self._poses = Poses(self._task)
                    self._choose(0, 16)
                scene = pack(*self._scene(self._poses))
            except Exception:  # whatever a stage holds, the run goes on
                logger.warning("this scene cannot be shown in a live page", exc_info=True)
                connection.close()
                continue
            viewer = _Viewer(connection, scene, self._asked, self._told)
            self._viewers.append(viewer)
            viewer.start()

    def _hold(self) -> None:
        if self._speed is not None and not self._is_paused:
            dt = self._world.physics_dt * self._task.control_frequency_inv / self._speed
            now = time.perf_counter()
            self._step_due = max(self._step_due + dt, now)
            while not self._is_released and (left := self._step_due - time.perf_counter()) > 0:
                time.sleep(min(left, _HELD_SECONDS))
        self._steps_left = max(0, self._steps_left - 1)
        if self._is_paused and not self._steps_left:
            self._look()
        while self._is_paused and not self._steps_left and self._is_watched and not self._is_released:
            self._welcome()
            self._send_if_ready()
            time.sleep(_HELD_SECONDS)
            self._obey()
            if time.perf_counter() >= self._due:  # a page that has just opened is to see it, too
                self._look()
                self._due = time.perf_counter() + 0.25

    def _look(self) -> None:
        """Begin to copy what is seen; whatever is not there yet by then is sent after a later step."""
        if self._pending is not None or self._poses is None:
            return
        task, ids = self._task, self._ids
        poses, origin = self._poses.read(ids), self._world.env_positions[ids[:1]]
        ground = self._ground(poses[0, 0, :2], origin)
        poses[..., :3] -= origin.unsqueeze(1)
        seen = task.obs_buf if isinstance(task.obs_buf, torch.Tensor) else task.obs_buf.get("state")
        tensors = {
            "poses": poses,
            "rewards": task.rew_buf[ids],
            "progress": task.progress_buf[ids],
            **ground,
            **self._pictures(ids, origin),
        }
        tensors |= {"observation": seen[ids[:1]]} if seen is not None else {}
        about: dict[str, Any] = {
            "kind": "frame",
            "envs": self._chosen,
            "paused": self._is_paused,
            "steps": self._steps,
            "speed": self._speed,
        }
        if self._with_contacts:
            tensors |= self._pressing(ids)
            about["no_contacts"] = self._no_contacts
        if task.reward_terms is not None:
            about["reward_terms"] = task.reward_terms.names
            tensors["terms"] = task.reward_terms.values[:, ids[:1]]
        # To the CPU without waiting, into pinned memory; the event tells when it is there.
        copies = {name: tensor.detach().to("cpu", non_blocking=True) for name, tensor in tensors.items()}
        event = None
        if self._env.device.type == "cuda":
            event = torch.cuda.Event()
            event.record()
        self._pending = about, copies, event

    def _ground(self, centre: torch.Tensor, origin: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return heights of uneven ground around a place, now and then: a square of them, and where its middle is."""
        if self._task.terrain is None or time.perf_counter() < self._ground_due:
            return {}
        self._ground_due = time.perf_counter() + _GROUND_SECONDS
        middle = (centre / _GROUND_STEP).round() * _GROUND_STEP
        side = torch.arange(-_GROUND_HALF, _GROUND_HALF + 1, device=middle.device) * _GROUND_STEP
        points = torch.stack(torch.meshgrid(side, side, indexing="ij"), dim=-1) + middle
        heights = self._task.terrain.heights_at(points)
        return {"ground": heights - origin[0, 2], "ground_at": middle - origin[0, :2]}

    def _pressing(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return contact forces on what is shown; what reads them is made when they are first asked for."""
        if self._contacts is None and not self._no_contacts and self._poses is not None:
            try:
                self._contacts = Contacts(self._world, self._poses.names)
            except MyriadError as error:
                self._no_contacts = str(error)
        return {} if self._contacts is None else {"contacts": self._contacts.read(ids)}

    def _pictures(self, ids: torch.Tensor, origin: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return, now and then, what the picked environment's cameras saw last, and from where; nothing is drawn."""
        if not self._cameras or time.perf_counter() < self._pictures_due:
            return {}
        self._pictures_due = time.perf_counter() + _PICTURE_SECONDS
        found = {}
        for number, view in enumerate(self._cameras):
            rows = rows_of(ids[:1], view.count // self._env.num_envs)
            for kind in view.output_annotators:
                pictures = view.last_picture(kind)
                if pictures is not None:
                    found[f"picture {number} {kind}"] = pictures[rows]
                    positions, orientations = view.last_poses(rows, "ros")
                    found[f"eye {number}"] = torch.cat((positions - origin, orientations), dim=-1)
        return found

    def _send_if_ready(self) -> None:
        if self._pending is None or (self._pending[2] is not None and not self._pending[2].query()):
            return
        about, copies, _ = self._pending
        self._pending = None
        data = pack(about, {name: tensor.numpy() for name, tensor in copies.items()})
        for viewer in list(self._viewers):
            viewer.show(data)

    # -- what is asked ------------------------------------------------------------------------------------------------

    def _obey(self) -> None:
        while self._asked:
            wish = self._asked.popleft()
            try:
                self._do(wish)
            except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
                logger.warning("the live page asked for %s, which cannot be done: %s", wish.get("do"), error)

    def _do(self, wish: dict[str, Any]) -> None:
        what, task = wish["do"], self._task
        if what == "pause":
            self._is_paused, self._steps_left = bool(wish["on"]), 0
        elif what == "step":
            self._is_paused, self._steps_left = True, 1
        elif what == "speed":
            self._speed = None if wish["factor"] is None else max(1e-3, float(wish["factor"]))
            self._step_due = 0.0
        elif what == "show":
            self._choose(int(wish["first"]), int(wish["count"]))
        elif what == "contacts":
            self._with_contacts = bool(wish["on"])
        elif what == "reset":
            task.reset_buf[self._env_of(wish)] = 1
        elif what == "push":
            self._push(self._env_of(wish), [float(number) for number in wish["velocity"]])
        elif what == "command":
            said = wish["said"]
            command: Any = getattr(task, "command")  # noqa: B009 - of a task that has one
            command.said = None if said is None else tuple(float(number) for number in said)
        elif what == "policy":
            self.chosen_policy = int(wish["number"])

    def _env_of(self, wish: Mapping[str, Any]) -> int:
        return min(max(int(wish["env"]), 0), self._env.num_envs - 1)

    def _choose(self, first: int, count: int) -> None:
        """Show an environment and those around it, the nearest first."""
        first = min(max(first, 0), self._env.num_envs - 1)
        count = min(max(count, 1), _MOST_SHOWN)
        self._ids = neighbours(self._world.env_positions, first, count)
        self._chosen = self._ids.tolist()
        self._ground_due = self._pictures_due = 0.0

    def _push(self, env: int, velocity: Sequence[float]) -> None:
        """Add a velocity in m/s to the roots in an environment, and in rad/s to the joints of a robot that is held."""
        ids = torch.tensor([env], device=self._env.device)
        push = torch.tensor([velocity], device=self._env.device)
        bodies = self._poses.body_views() if self._poses else []
        for view in [*self._world.robots().values(), *bodies]:
            rows = rows_of(ids, view.count // self._env.num_envs)
            moving = view.get_velocities(indices=rows).clone()
            moving[:, :3] += push
            view.set_velocities(moving, indices=rows)
        for robot in self._world.robots().values():
            if is_held(self._world.stage, robot.prim_paths[0]):
                speeds = robot.get_joint_velocities(indices=ids).clone()
                robot.set_joint_velocities(speeds + push.norm() * torch.randn_like(speeds).sign(), indices=ids)

    # -- those who look -----------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self._is_released:
            try:
                connection = self._listener.accept()
            except OSError:
                return
            if self._is_released:
                connection.close()
                return
            with self._lock:
                self._coming.append(connection)
                self._is_active = True

    def _told(self) -> None:
        """Look at who is there; called on their threads."""
        self._viewers = [viewer for viewer in self._viewers if viewer.is_open]
        self._is_watched = any(viewer.watching for viewer in self._viewers)
        with self._lock:
            self._is_active = bool(self._viewers or self._coming)
        if not self._is_watched:
            self._with_contacts = False
            self._is_paused, self._speed = False, self._usual_speed  # nobody is there to let it go on

    def _scene(self, poses: Poses) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what is drawn, and what can be asked for."""
        task, arrays, shapes = self._task, {}, []
        for colliders in (False, True):
            found = robot_shapes(self._world.stage, poses.names, colliders)
            shapes += [_described(shape, colliders, arrays) for shape in found]
        terms = describe_terms(f"{task.name} observation", task.observation_terms(), task.num_observations)
        message = {
            **self._about,
            "kind": "scene",
            "task": task.name,
            "engine": self._world.version,
            "device": str(self._env.device),
            "num_envs": self._env.num_envs,
            "links": poses.names,
            "shapes": shapes,
            "terms": [{key: term.get(key) for key in ("name", "slice", "unit")} for term in terms if "slice" in term],
            "dt": self._world.physics_dt * task.control_frequency_inv,
            "has_command": isinstance(getattr(task, "command", None), VelocityCommands),
            "num_markers": poses.num_markers,
            "is_plane": task.terrain is None,
            "ground_step": _GROUND_STEP,
            "cameras": [_eyes(view, self._env.num_envs) for view in self._cameras],
        }
        return message, arrays


def _described(shape: Shape, is_collider: bool, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    entry = {key: getattr(shape, key) for key in ("link", "kind", "size", "position", "rotation", "colour")}
    if shape.points is not None and shape.triangles is not None:
        entry["mesh"] = len(arrays) // 2
        arrays[f"points{entry['mesh']}"] = np.asarray(shape.points, np.float32)
        arrays[f"triangles{entry['mesh']}"] = np.asarray(shape.triangles, np.int32)
    return entry | {"collider": is_collider, "size": [float(number) for number in shape.size]}


def _eyes(view: CameraView, num_envs: int) -> dict[str, Any]:
    """Describe the cameras of a view: how many an environment has, and the lens of the first one."""
    height = view.get_vertical_apertures([0])[0]
    return {
        "name": view.name,
        "count": view.count // num_envs,
        "field_of_view": 2.0 * math.atan(height / 2.0 / (10.0 * view.get_focal_lengths([0])[0])),
        "aspect": view.get_aspect_ratios(),
    }


class _Viewer:
    """One page that looks: a thread that reads what it asks, and one that sends what it sees, the newest alone."""

    def __init__(self, connection: Connection, scene: bytes, asked: deque, told: Any) -> None:
        self._connection, self._asked, self._told = connection, asked, told
        self.watching, self.is_open = False, True
        self._newest: bytes | None = scene
        self._changed = threading.Condition()

    def start(self) -> None:
        """Begin to send and to read."""
        for target in (self._read, self._write):
            threading.Thread(target=target, name="viewer", daemon=True).start()

    def show(self, data: bytes) -> None:
        """Send a picture, in the place of one that has not left yet."""
        with self._changed:
            self._newest = data
            self._changed.notify()

    def close(self) -> None:
        """Hang up."""
        with self._changed:
            self.is_open = False
            self._changed.notify()

    def _read(self) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError, KeyError, TypeError):
            while self.is_open:
                wish, _ = unpack(self._connection.recv_bytes(1 << 20))
                if wish["do"] == "watch":
                    self.watching = bool(wish["on"])
                    self._told()
                else:
                    self._asked.append(wish)
        self.close()
        self._told()

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._newest is not None or not self.is_open)
                    if not self.is_open:
                        break
                    data, self._newest = self._newest, None
                self._connection.send_bytes(data or b"")
        self._connection.close()
