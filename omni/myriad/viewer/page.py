# SPDX-License-Identifier: Apache-2.0
"""The page itself, in a process of its own: `python -m omni.myriad.viewer.page SOCKET ...`, started by `session`."""

from __future__ import annotations

import contextlib
import html
import io
import math
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
import viser
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial
from viser import uplot

from omni.myriad.learn.record.charts import COLOURS, short
from omni.myriad.learn.record.history import TERMS, Run
from omni.myriad.viewer.pictures import seen, support
from omni.myriad.viewer.wire import pack, unpack

_GROUND, _EARTH = (226, 230, 236), (176, 182, 190)
_COLLIDER = (235, 120, 40)
_HAIR = 0.012  # of a size
_TILE = 1.0  # m
_JUMP = 1.0  # m, after which the camera does not glide
_TABLE_SECONDS = 0.25  # between renewals of numbers
_RECORD_SECONDS = 1.0  # between looks at progress.csv
_CURVE_POINTS = 300
_PRESSED = (222, 38, 96)
# Of what presses on a robot in the mean: less shows no arrow, more no longer one.
_LEAST_FORCE, _MOST_FORCE = 0.02, 0.75
_FADING = 0.98  # by which that mean forgets, a frame
_SPEEDS = {"as fast as it goes": None, "real time": 1.0, "half": 0.5, "a quarter": 0.25, "a tenth": 0.1}


class Page:
    """Shows what a `Source` says, and asks it for what people want.

    Args:
        connection: To the source.
        host: Address to listen at.
        port: Port, or one of the next ones.
    """

    def __init__(self, connection: Connection, host: str, port: int) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._scene, self._arrays = unpack(connection.recv_bytes())
        self._frame: dict[str, Any] = {}
        self._poses = np.zeros((0, 0, 7), np.float32)
        self._middle = np.zeros(2, np.float32)
        self._heights: np.ndarray | None = None
        self._ground_at = np.zeros(2, np.float32)
        self._next_table = self._next_record = 0.0
        self._record_size = -1
        self._usual_force, self._size = 0.0, 1.0
        with contextlib.redirect_stdout(io.StringIO()):  # the address is ours to print
            self.server = viser.ViserServer(host, port, label=self._title(), verbose=False)
        self._light()
        self._links = self._meshes(colliders=False)
        self._colliders = self._meshes(colliders=True)
        self._build()
        self._build_eyes()
        self.server.on_client_connect(lambda _: self._tell_watching())
        self.server.on_client_disconnect(lambda _: self._tell_watching())
        self.server.scene.on_click()(self._clicked)

    @property
    def port(self) -> int:
        """The port that was free."""
        return self.server.get_port()

    def run(self) -> None:
        """Show what comes until the source ends."""
        try:
            while True:
                message, arrays = unpack(self._connection.recv_bytes())
                if message["kind"] == "frame":
                    self._show(message, arrays)
        except (EOFError, OSError):
            with contextlib.redirect_stdout(io.StringIO()):
                self.server.stop()

    def _title(self) -> str:
        return f"{self._scene['task']}, {self._scene['num_envs']:,} environments"

    def _ask(self, what: str, **more: Any) -> None:
        with self._lock, contextlib.suppress(OSError):  # of a run that has just ended
            self._connection.send_bytes(pack({"do": what, **more}))

    def _tell_watching(self) -> None:
        self._ask("watch", on=bool(self.server.get_clients()))

    # -- what is seen -------------------------------------------------------------------------------------------------

    def _light(self) -> None:
        server, scene = self.server, self.server.scene
        scene.set_up_direction("+z")
        server.gui.configure_theme(show_logo=False, show_share_button=False, brand_color=(47, 111, 219))
        scene.configure_default_lights(enabled=False)
        scene.configure_environment_map("studio", environment_intensity=0.55)
        # Behind everything, a sky that is lighter at the horizon.
        rows = np.linspace(0.0, 1.0, 64)[:, None, None]
        sky = (1 - rows) * np.array([168, 196, 228]) + rows * np.array([236, 240, 245])
        scene.set_background_image(np.repeat(sky, 4, axis=1).astype(np.uint8), format="png")
        sun = scene.add_light_directional("/sun", intensity=2.6, cast_shadow=True, color=(255, 247, 235))
        sun.position = (-6.0, -7.0, 12.0)
        self._ground: Any = scene.add_grid(
            "/ground", infinite_grid=True, cell_size=_TILE / 2, section_size=_TILE, plane_color=_GROUND,
            plane_opacity=1.0, cell_color=(205, 210, 218), section_color=(180, 187, 198), shadow_opacity=0.35,
            fade_distance=60.0, visible=self._scene["is_plane"],
        )  # fmt: skip

        ring = trimesh.creation.torus(0.32, 0.01, major_sections=48, minor_sections=8)
        self._ring = scene.add_mesh_simple(
            "/ring", ring.vertices, ring.faces, color=(47, 111, 219), cast_shadow=False, opacity=0.8
        )

    def _meshes(self, colliders: bool) -> dict[int, Any]:
        """Return what draws the shapes of each link, by the link's number: one mesh with many instances."""
        handles = {}
        for number, name in enumerate(self._scene["links"]):
            shapes = [s for s in self._scene["shapes"] if s["link"] == name and s["collider"] == colliders]
            if not shapes:
                continue
            mine: Any = trimesh.Scene([_mesh(s, self._arrays, colliders, 1.0 + _HAIR * (number % 3)) for s in shapes])
            handles[number] = self.server.scene.add_batched_glb(
                f"/{'colliders' if colliders else 'links'}/{number}",
                bytes(mine.export(file_type="glb", include_normals=True)),
                batched_wxyzs=np.array([[1.0, 0.0, 0.0, 0.0]]),
                batched_positions=np.array([[0.0, 0.0, -100.0]]),
                lod="off",
                cast_shadow=not colliders,
                visible=not colliders,
            )
        return handles

    def _show(self, frame: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        first, changed = not self._frame, frame["envs"] != self._frame.get("envs")
        self._frame, self._poses = frame, arrays["poses"].copy()
        with self.server.atomic():
            if "ground" in arrays:
                self._lay_ground(arrays["ground"], arrays["ground_at"])
            self._follow(changed)
            for handles, switch in self._shown():
                for number, handle in handles.items() if switch.value else ():
                    handle.batched_positions = self._poses[:, number, :3]
                    handle.batched_wxyzs = self._poses[:, number, 3:]
            self._show_contacts(frame, arrays)
            if self._axes.visible:
                self._axes.batched_positions = self._poses[0, :, :3]
                self._axes.batched_wxyzs = self._poses[0, :, 3:]
        if first:
            self._aim()
        self._show_eyes(arrays)
        now = time.monotonic()
        if now >= self._next_table or frame["paused"]:
            self._next_table = now + _TABLE_SECONDS
            self._show_numbers(arrays)
        if now >= self._next_record:
            self._next_record = now + _RECORD_SECONDS
            self._show_record()

    def _show_contacts(self, frame: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Draw an arrow where each force presses, as long as it is strong against what robots lately bore."""
        switch = self._with_contacts
        if frame.get("no_contacts") and not switch.disabled:
            switch.value, switch.disabled = False, True
            switch.label, switch.hint = "Contact forces (not read)", frame["no_contacts"]
        forces = arrays.get("contacts") if switch.value else None
        if forces is None:
            self._arrows.visible = False
            return
        strengths = np.linalg.norm(forces, axis=-1)
        pressing = float(strengths.sum(axis=1).mean())
        self._usual_force = _FADING * self._usual_force + (1 - _FADING) * pressing if self._usual_force else pressing
        at = np.argwhere(strengths > max(_LEAST_FORCE * self._usual_force, 1e-6))
        points = np.zeros((len(at), 2, 3), np.float32)
        for arrow, (robot, link) in zip(points, at, strict=True):
            arrow[0] = support(self._hulls.get(link), self._poses[robot, link], forces[robot, link])
            length = 2.0 * self._size * min(strengths[robot, link] / self._usual_force, _MOST_FORCE)
            arrow[1] = arrow[0] + length * forces[robot, link] / strengths[robot, link]
        self._arrows.visible = len(at) > 0
        if len(at):
            self._arrows.points = points
        switch.label = f"Contact forces (longest: {short(_MOST_FORCE * self._usual_force)} N)"

    def _show_eyes(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Renew the pictures of the picked environment's cameras, and put their outlines where they are."""
        for number, outlines in enumerate(self._eyes):
            self._eyes_at[number] = arrays.get(f"eye {number}", self._eyes_at[number])
            for outline, place in zip(outlines, self._eyes_at[number], strict=True):
                outline.position, outline.wxyz = place[:3] - np.append(self._middle, 0.0), place[3:]
        for name, pictures in arrays.items():
            if not name.startswith("picture "):
                continue
            _, number, kind = name.split(" ", 2)
            for which, picture in enumerate(pictures):
                drawn = seen(kind, picture)
                which_one = f" {which + 1}" if len(pictures) > 1 else ""
                key = f"{self._scene['cameras'][int(number)]['name']}{which_one}: {kind}"
                if key in self._pictures:
                    self._pictures[key].image = drawn
                else:
                    assert self._eye_tab is not None
                    with self._eye_tab:
                        self._pictures[key] = self.server.gui.add_image(drawn, label=key, format="png")

    def _shown(self) -> list[tuple[dict[int, Any], Any]]:
        return [(self._links, self._with_links), (self._colliders, self._with_colliders)]

    def _follow(self, at_once: bool) -> None:
        """Move all that is seen, and not the camera, so that the robot that was picked stays where that looks."""
        middle = self._poses[0, : self._count_of_robots() or None, :2].mean(axis=0)
        if self._with_follow.value:
            off = middle - self._middle
            self._middle = middle if at_once or np.linalg.norm(off) > _JUMP else self._middle + 0.25 * off
        self._poses[..., :2] -= self._middle
        if self._heights is None:
            self._ring.position = np.append(middle - self._middle, 0.01)
            self._ground.position = np.append(-(self._middle % _TILE), 0.0)  # which goes on for ever
        else:
            half, step = len(self._heights) // 2, self._scene["ground_step"]
            cell = np.clip(np.round((middle - self._ground_at) / step).astype(int) + half, 0, 2 * half)
            self._ring.position = np.append(middle - self._middle, self._heights[tuple(cell)] + 0.01)
            self._ground.position = np.append(self._ground_at - self._middle, 0.0)

    def _lay_ground(self, heights: np.ndarray, at: np.ndarray) -> None:
        """Put uneven ground, a square of heights around a place, where the plane or what was laid before is."""
        self._heights, self._ground_at = heights, at.copy()
        size = len(heights)
        side = (np.arange(size) - size // 2) * self._scene["ground_step"]
        x, y = np.meshgrid(side, side, indexing="ij")
        vertices = np.stack((x, y, heights), axis=-1).reshape(-1, 3).astype(np.float32)
        corner = (np.arange(size - 1)[:, None] * size + np.arange(size - 1)).reshape(-1, 1)
        corners = np.array([[0, size, size + 1], [0, size + 1, 1]], np.uint32)
        faces = np.concatenate([corner.astype(np.uint32) + each for each in corners])
        self._ground = self.server.scene.add_mesh_simple(
            "/ground", vertices, faces, color=_EARTH, flat_shading=True, visible=self._with_ground.value
        )

    def _count_of_robots(self) -> int:
        return len(self._scene["links"]) - self._scene["num_markers"]

    def _aim(self) -> None:
        """Put the camera where the robot that was picked, and some of its neighbours, are in the picture."""
        robot = self._poses[0, : self._count_of_robots() or None, :3]
        centre, size = robot.mean(axis=0), max(0.5, float(np.ptp(robot, axis=0).max()))
        self._size = size
        distance = 3.2 * size + 0.6
        away = np.array([math.cos(-0.9), math.sin(-0.9), 0.45]) * distance
        target = np.array([0.0, 0.0, max(0.2, float(centre[2]))])
        camera = self.server.initial_camera
        camera.position, camera.look_at = tuple(target + away), tuple(target)
        for client in self.server.get_clients().values():
            client.camera.position, client.camera.look_at = tuple(target + away), tuple(target)

    # -- controls -----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        gui, scene = self.server.gui, self._scene
        self._status = gui.add_markdown("waiting for the first step ...")
        tabs = gui.add_tab_group()
        with tabs.add_tab("Watch"):
            self._pause = gui.add_button("Pause")
            self._pause.on_click(lambda _: self._ask("pause", on=not self._frame.get("paused", False)))
            gui.add_button("Single step").on_click(lambda _: self._ask("step"))
            first_speed = "real time" if scene.get("real_time") else "as fast as it goes"
            speed = gui.add_dropdown("Speed", tuple(_SPEEDS), initial_value=first_speed)
            speed.on_update(lambda _: self._ask("speed", factor=_SPEEDS[speed.value]))
            self._picked = gui.add_number("Environment", 0, min=0, max=scene["num_envs"] - 1, step=1)
            most = min(64, scene["num_envs"])
            self._count = gui.add_slider("How many", 1, max(2, most), 1, min(16, most), disabled=most < 2)
            for control in (self._picked, self._count):
                control.on_update(
                    lambda _: self._ask("show", first=int(self._picked.value), count=int(self._count.value))
                )
            gui.add_button("Reset it").on_click(lambda _: self._ask("reset", env=int(self._picked.value)))
            with gui.add_folder("Push"):
                self._strength = gui.add_slider("Speed (m/s)", 0.1, 5.0, 0.1, 1.0)
                self._pushes = gui.add_checkbox("A click on a robot pushes it", False)
                gui.add_button("Push it").on_click(lambda _: self._push(np.random.default_rng().normal(size=2)))
            with gui.add_folder("Show"):
                self._with_links = gui.add_checkbox("Robots", True)
                self._with_colliders = gui.add_checkbox("Colliders", False)
                self._with_frames = gui.add_checkbox("Frames of its links", False)
                self._with_contacts = gui.add_checkbox("Contact forces", False)
                self._with_eyes = gui.add_checkbox("Cameras", True, visible=bool(scene.get("cameras")))
                self._with_ground = gui.add_checkbox("Ground", True)
                self._with_follow = gui.add_checkbox("Follow it", True)
            for control in (
                self._with_links, self._with_colliders, self._with_frames, self._with_ground, self._with_eyes,
            ):  # fmt: skip
                control.on_update(lambda _: self._switch())
            self._with_contacts.on_update(lambda _: self._ask("contacts", on=self._with_contacts.value))
            if scene["has_command"]:
                self._build_command()
            if scene.get("policies"):
                names = tuple(f"{i + 1}: {name}" for i, name in enumerate(scene["policies"]))
                policy = gui.add_dropdown("Policy", names, initial_value=names[0])
                policy.on_update(lambda _: self._ask("policy", number=names.index(policy.value)))
        self._eye_tab = tabs.add_tab("Cameras") if scene.get("cameras") else None
        with tabs.add_tab("Observation"):
            self._table = gui.add_html("")
        with tabs.add_tab("Reward"):
            self._rewards = gui.add_html("<p style='padding:0 12px'>This task does not say its reward's terms.</p>")
        with tabs.add_tab("Learning"):
            self._curves: dict[str, Any] = {}
            self._learning = gui.add_folder("Curves") if scene.get("run_dir") else None
            if self._learning is None:
                gui.add_markdown("No run is recorded here.")
        links = len(scene["links"])
        self._axes = self.server.scene.add_batched_axes(
            "/axes", np.tile([1.0, 0.0, 0.0, 0.0], (links, 1)), np.zeros((links, 3)), axes_length=0.15,
            axes_radius=0.006, visible=False,
        )  # fmt: skip

        self._arrows = self.server.scene.add_arrows(
            "/contacts", np.zeros((1, 2, 3), np.float32), _PRESSED, shaft_radius=0.02, head_radius=0.05,
            head_length=0.1, visible=False,
        )  # fmt: skip

    def _build_eyes(self) -> None:
        """Add an outline for each camera of the picked environment, and know where the surfaces of links are."""
        self._pictures: dict[str, Any] = {}
        self._eyes = [
            [
                self.server.scene.add_camera_frustum(
                    f"/cameras/{number}/{which}", view["field_of_view"], view["aspect"], scale=0.2, thickness=0.008,
                    color=(47, 111, 219), cast_shadow=False,
                )
                for which in range(view["count"])
            ]
            for number, view in enumerate(self._scene.get("cameras", ()))
        ]  # fmt: skip
        self._eyes_at = [np.tile([0, 0, -100.0, 1, 0, 0, 0], (len(outlines), 1)) for outlines in self._eyes]
        self._hulls = {}
        for number, name in enumerate(self._scene["links"]):
            shapes = [s for s in self._scene["shapes"] if s["link"] == name and s["collider"]]
            if shapes:
                self._hulls[number] = np.concatenate([_mesh(s, self._arrays, True, 1.0).vertices for s in shapes])

    def _build_command(self) -> None:
        gui = self.server.gui
        with gui.add_folder("Command"):
            said = gui.add_checkbox("Say it", False)
            sliders = [
                gui.add_slider(name, -limit, limit, 0.05, 0.0)
                for name, limit in (("Ahead (m/s)", 2.0), ("To the left (m/s)", 1.0), ("Turning (rad/s)", 1.5))
            ]
            stop = gui.add_button("Stand")

            def say(_: Any = None) -> None:
                self._ask("command", said=[slider.value for slider in sliders] if said.value else None)

            def steer(which: int, by: float) -> None:
                said.value = True
                slider = sliders[which]
                slider.value = float(np.clip(slider.value + by, slider.min, slider.max))
                say()

            def stand(_: Any = None) -> None:
                said.value = True
                for slider in sliders:
                    slider.value = 0.0
                say()

            for control in (said, *sliders):
                control.on_update(say)
            stop.on_click(stand)
        # Letters beside each other, as games have them.
        for key, name, which, by in (
            ("W", "faster ahead", 0, 0.25), ("S", "slower ahead", 0, -0.25), ("A", "to the left", 1, 0.25),
            ("D", "to the right", 1, -0.25), ("Q", "turn left", 2, 0.25), ("E", "turn right", 2, -0.25),
        ):  # fmt: skip
            command = gui.add_command(f"Command: {name}", hotkey=key)  # type: ignore[arg-type]
            command.on_trigger(lambda _, which=which, by=by: steer(which, by))
        gui.add_command("Command: stand", hotkey="X").on_trigger(stand)

    def _switch(self) -> None:
        for handles, switch in self._shown():
            for handle in handles.values():
                handle.visible = switch.value
        self._axes.visible = self._with_frames.value
        for outline in (outline for outlines in self._eyes for outline in outlines):
            outline.visible = self._with_eyes.value
        self._ground.visible = self._with_ground.value

    def _push(self, direction: np.ndarray, env: int | None = None) -> None:
        velocity = direction / max(float(np.linalg.norm(direction)), 1e-6) * self._strength.value
        self._ask("push", env=int(self._picked.value) if env is None else env, velocity=[*map(float, velocity), 0.0])

    def _clicked(self, event: Any) -> None:
        """Pick the robot that is nearest to where the mouse points, or push it along."""
        if not len(self._poses):
            return
        origin, direction = np.array(event.ray_origin), np.array(event.ray_direction)
        robots = self._poses[:, : self._count_of_robots() or None, :3]
        to = robots - origin
        along = np.maximum((to * direction).sum(-1, keepdims=True), 0.0)
        distances = np.linalg.norm(to - along * direction, axis=-1).min(axis=1)
        nearest = int(distances.argmin())
        if distances[nearest] > 0.6:
            return
        env = self._frame["envs"][nearest]
        if self._pushes.value:
            self._push(direction[:2], env)
        else:
            self._picked.value = env
            self._ask("show", first=env, count=int(self._count.value))

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _show_numbers(self, arrays: Mapping[str, np.ndarray]) -> None:
        frame, scene = self._frame, self._scene
        paused = frame["paused"]
        self._pause.label = "Go on" if paused else "Pause"
        seconds = int(arrays["progress"][0]) * scene["dt"]
        self._status.content = (
            f"**{html.escape(str(scene.get('title') or scene['task']))}** on {html.escape(scene['engine'])}, "
            f"{html.escape(scene['device'])}\n\nEnvironment {frame['envs'][0]}: {seconds:.2f} s into its episode, "
            f"reward {float(arrays['rewards'][0]):.3g}{', **paused**' if paused else ''}"
        )
        if "terms" in arrays:
            names = frame["reward_terms"]
            self._rewards.content = numbers_table(
                [{"name": name, "slice": [i, i + 1]} for i, name in enumerate(names)], arrays["terms"][:, 0], "per step"
            )
        observation = arrays.get("observation")
        if observation is not None:
            terms = scene["terms"] or [{"name": "observation", "slice": [0, observation.shape[1]]}]
            self._table.content = numbers_table(terms, observation[0], "as the policy sees it, scaled")

    def _show_record(self) -> None:
        """Renew the curves where the run's record has grown."""
        if self._learning is None:
            return
        path = Path(self._scene["run_dir"], "progress.csv")
        try:
            size = path.stat().st_size
        except OSError:
            return
        if size == self._record_size:
            return
        self._record_size = size
        run = Run(path.parent)
        plots = {
            "Mean episode reward": ["reward_mean"],
            "Episode length (steps)": ["episode_length_mean"],
            "Terms of the reward, per step": [name for name in run.columns if name.startswith(TERMS)],
            "Steps per second": ["frames_per_second"],
        }
        plots |= {name: [name] for name in run.reported()}
        for title, names in plots.items():
            self._plot(title, names, run)

    def _plot(self, title: str, names: Sequence[str], run: Run) -> None:
        frames = run.column("frames")
        every = max(1, len(frames) // _CURVE_POINTS)
        data = np.stack([frames, *(run.column(name) for name in names)])[:, ::every]
        data = tuple(data[:, np.isfinite(data).all(axis=0)])
        if not names or len(data[0]) < 2:
            return
        if title in self._curves:
            self._curves[title].data = data
            return
        series = (
            uplot.Series(label="frames"),
            *(
                uplot.Series(label=name.removeprefix(TERMS), stroke=COLOURS[i % len(COLOURS)], width=2)
                for i, name in enumerate(names)
            ),
        )
        assert self._learning is not None
        with self._learning:
            self._curves[title] = self.server.gui.add_uplot(
                data, series, title=title, scales={"x": uplot.Scale(time=False)}, height=190
            )


def numbers_table(terms: Sequence[Mapping[str, Any]], values: np.ndarray, note: str) -> str:
    """Return a table of numbers as HTML, with a row for each term: a `name`, and a `slice` of the values."""
    rows = []
    for term in terms:
        part = values[slice(*term["slice"])]
        shown = "  ".join(f"{short(float(value))}" for value in part[:12]) + (" ..." if len(part) > 12 else "")
        name = html.escape(str(term["name"]))
        cells = f"<td style='padding:2px 8px 2px 0;vertical-align:top'>{name}</td>"
        rows.append(f"<tr>{cells}<td style='font-family:monospace;text-align:right'>{html.escape(shown)}</td></tr>")
    below = f"<p style='opacity:.6;margin:6px 0 0'>{html.escape(note)}</p>"
    return f"<div style='padding:0 12px;font-size:12px'><table style='width:100%'>{''.join(rows)}</table>{below}</div>"


def _mesh(
    shape: Mapping[str, Any], arrays: Mapping[str, np.ndarray], is_collider: bool, scale: float
) -> trimesh.Trimesh:
    """Return a shape in its link's frame."""
    # Where two links share a rounded end, neither would win: each is some hairs bigger than its neighbours.
    kind, size = shape["kind"], [part * scale for part in shape["size"]]
    if kind == "mesh":
        points, triangles = (arrays[f"{name}{shape['mesh']}"] for name in ("points", "triangles"))
        mesh = trimesh.Trimesh(points, triangles.reshape(-1, 3), process=False)
    elif kind == "box":
        mesh = trimesh.creation.box(2.0 * np.array(size))
        mesh.unmerge_vertices()  # its edges are sharp
    elif kind == "sphere":
        mesh = trimesh.creation.icosphere(3, size[0])
    elif kind == "capsule":
        mesh = trimesh.creation.capsule(2.0 * size[1], size[0], count=[32, 20])
        mesh.apply_translation(-mesh.bounds.mean(axis=0))
    else:
        mesh = trimesh.creation.cylinder(size[0], 2.0 * size[1], sections=32)
    x, y, z, w = shape["rotation"]
    place = trimesh.transformations.quaternion_matrix([w, x, y, z])
    place[:3, 3] = shape["position"]
    mesh.apply_transform(place)
    colour = np.array(_COLLIDER) / 255.0 if is_collider else np.array(shape["colour"])
    # glTF's colours are linear, USD's displayColor is what a screen shows.
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    material = PBRMaterial(
        baseColorFactor=[*linear, 0.45 if is_collider else 1.0], metallicFactor=0.05, roughnessFactor=0.65,
        alphaMode="BLEND" if is_collider else "OPAQUE",
    )  # fmt: skip
    mesh.visual = TextureVisuals(material=material)
    return mesh
