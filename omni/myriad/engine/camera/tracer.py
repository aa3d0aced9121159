# SPDX-License-Identifier: Apache-2.0
"""All environments as newton's ray tracer sees them: a world for each, with links where physics has them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from pxr import Usd, UsdPhysics

from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH
from omni.myriad.engine.camera.shading import NEEDS, Shading
from omni.myriad.engine.quiet import quiet_warp
from omni.myriad.engine.shapes import Shape, robot_shapes, scenery, sun
from omni.myriad.engine.usd import SUN
from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from omni.myriad.engine.base import Engine

Poses = tuple[torch.Tensor, torch.Tensor]
"""Positions (num_envs, bodies, 3) in m and orientations (num_envs, bodies, 4) as wxyz, in the world."""

_SIZES = {
    "sphere": ("radius",),
    "capsule": ("radius", "half_height"),
    "cylinder": ("radius", "half_height"),
    "box": ("hx", "hy", "hz"),
}
"""What newton calls a shape's `size`."""

_SUN = (-0.45, 0.55, -0.75)  # where it shines to
_SKYLIGHT, _GROUNDLIGHT = (0.32, 0.34, 0.38), (0.16, 0.15, 0.14)
_SKY = 0x00F2E6D6  # behind everything, as ABGR
_GROUND, _WHITE = (0.62, 0.68, 0.76), (1.0, 1.0, 1.0)


class Images(NamedTuple):
    """What a camera wants drawn: Warp's arrays, (views, height, width) each, or None."""

    color_image: Any = None
    forward_depth_image: Any = None
    normal_image: Any = None
    shape_index_image: Any = None
    albedo_image: Any = None


class Batch(NamedTuple):
    """Views with one lens that are drawn together, as Warp's arrays; what they hold may change in place.

    Attributes:
        views: Where cameras are, along -z and with y up, (views,): position in m, orientation as xyzw.
        rays: From `RayTracer.rays`.
        images: From `RayTracer.images`, or a part of them.
        worlds: Environment of each view, (views,) int32; -101 leaves its pictures as they are.
        gains: Factors of red, green and blue of each view, (views,); `shading` alone asks for them.
    """

    views: Any
    rays: Any
    images: Images
    worlds: Any
    gains: Any


class RayTracer:
    """Draws what cameras see in each environment, from the poses of links; environments do not see each other.

    Args:
        engine: The engine, with physics running.

    Attributes:
        bodies: What moves, such as "Robot/hand", in the order of `poses`.
        labels: What can be seen, by the number that segmentation gives it; 0 is where nothing is.
        colours: Colour of each shape, 0 to 1: (num_envs, shapes of an environment, 3); whoever writes there paints.
        shading: Light and textures of each environment by itself; None, as at first, for newton's own light.

    Raises:
        MyriadError: If newton is not installed.
    """

    def __init__(self, engine: Engine) -> None:
        warp, newton, self.sensors = drawing_libraries()
        streams = import_module("omni.myriad.engine.streams")
        self._engine, self._wp = engine, warp
        self._on_stream = partial(streams.on_torchs_stream, engine.device)
        self.device = streams.warp_device(engine.device)
        self.bodies, self._looks = _find_bodies(engine)
        links = robot_shapes(engine.stage, self.bodies)
        own, shared = scenery(engine.stage, self.bodies)
        self.labels = ["", *dict.fromkeys([shape.link or "scenery" for shape in (*links, *own)]), "ground"]
        environment, scene = newton.ModelBuilder(), newton.ModelBuilder()
        environment.default_shape_cfg.density = scene.default_shape_cfg.density = 0.0  # no masses, no warnings of them
        numbers = {name: environment.add_body(label=name) for name in self.bodies}
        for shape in (*links, *own):
            add_shape(newton, warp, environment, numbers.get(shape.link, -1), shape)
        places = [warp.transform(position, warp.quat_identity()) for position in engine.env_positions.tolist()]
        for shape in shared:
            add_shape(newton, warp, scene, -1, shape)
        scene.replicate(environment, engine.num_envs, xforms=places)
        with self._on_stream():
            self.model = scene.finalize(device=self.device)
            self._state = self.model.state()
            self._camera = sensor(self.sensors, self.model)
            self._camera.default_render_config.enable_textures = any(shape.texture for shape in (*links, *own, *shared))
            self._camera.default_clear_data = self.sensors.SensorCamera.ClearData(clear_color=_SKY, clear_albedo=_SKY)
            towards, self._sun_colour = sun(engine.stage, SUN) or (
                np.array(_SUN) / np.linalg.norm(_SUN),
                (1.0, 1.0, 1.0),
            )
            self._sun = towards.tolist()
            self._camera.create_default_light(direction=warp.vec3f(*self._sun), color=self._sun_colour)
            self._camera.set_ambient_light(_SKYLIGHT, _GROUNDLIGHT)
        per_env = len(links) + len(own)
        self._carriers = [-1] * len(shared) + [numbers.get(shape.link, -1) for shape in (*links, *own)] + [-1]
        self._num_shared = len(shared)
        self.shading: Shading | None = None
        colours = warp.to_torch(self.model.shape_color)[len(shared) :]
        self.colours = colours.view(engine.num_envs, per_env, 3)
        of_env = [self.labels.index(shape.link or "scenery") for shape in (*links, *own)]
        table = [0, *[len(self.labels) - 1] * len(shared), *of_env * engine.num_envs]  # the first for what is nothing
        self.label_of_shape = torch.tensor(table, dtype=torch.int32, device=engine.device)
        self.poses = torch.zeros((engine.num_envs, len(self.bodies), 7), device=engine.device)
        if self.bodies:
            self.poses = warp.to_torch(self._state.body_q).view_as(self.poses)
        self._seen_at: int | None = None

    def look(self) -> None:
        """Put links where physics has them now, unless that was done since the last step."""
        if self._seen_at == self._engine.num_steps:
            return
        self._seen_at = self._engine.num_steps
        start = 0
        for look in self._looks:
            positions, orientations = look()
            poses = self.poses[:, start : start + positions.shape[1]]
            poses[..., :3], poses[..., 3:6], poses[..., 6] = positions, orientations[..., 1:], orientations[..., 0]
            start += positions.shape[1]
        with self._on_stream():
            self.model.bvh_refit_shapes(self._state)

    def shade(self) -> Shading:
        """Return `shading`, made if it is not there; cameras that have drawn before are to `prepare` again."""
        if self.shading is None:
            with self._on_stream():
                self.shading = Shading(
                    self._engine.num_envs,
                    self._carriers,
                    len(self.bodies),
                    self._num_shared,
                    self._state.body_q,
                    [-part for part in self._sun],
                    (_SKYLIGHT, _GROUNDLIGHT, self._sun_colour),
                    self._engine.device,
                )
        return self.shading

    def rays(self, width: int, height: int, focal_length: float, aperture: float, near: float) -> Any:
        """Return where the rays of a pinhole camera with square pixels start and go: Warp's array, and its cosines.

        Args:
            width: Pixels.
            height: Pixels.
            focal_length: In the unit of the aperture.
            aperture: Horizontal.
            near: Distance in front of the camera where rays start, in m.
        """
        with self._on_stream():
            rays = self.sensors.SensorCamera.compute_camera_rays_pinhole(
                width,
                height,
                focal_length=focal_length,
                horizontal_aperture=aperture,
                vertical_aperture=aperture * height / width,
                device=self.device,
            )
            ends = self._wp.to_torch(rays)[:, :, 0]  # (height, width, 2, 3): start, direction
            cosines = -ends[..., 1, 2]
            ends[..., 0, :] = ends[..., 1, :] * (near / cosines).unsqueeze(-1)
        return rays, cosines

    def images(self, count: int, width: int, height: int, *wanted: str) -> Images:
        """Return empty pictures of the kinds that are wanted, which are fields of `Images`, and of what those need."""
        if self.shading is not None and "color_image" in wanted:
            wanted = tuple(dict.fromkeys((*wanted, *NEEDS)))
        with self._on_stream():
            return Images(
                **{kind: getattr(self._camera, f"allocate_{_FACTORIES[kind]}")(count, width, height) for kind in wanted}
            )

    def tensor(self, image: Any) -> torch.Tensor:
        """Return Warp's array as torch's tensor, bytes of whole numbers as they are."""
        return self._wp.to_torch(image)

    def number_of(self, carrier: Usd.Prim) -> int | None:
        """Return which of `bodies` a prim is, None for environment 0.

        Raises:
            MyriadError: If no view tells where it is.
        """
        path = str(carrier.GetPath())
        if path == ENV_0_PATH:
            return None
        found = [self.bodies.index(name) for name in (_called(path), carrier.GetName()) if name in self.bodies]
        if not found:
            raise MyriadError(f"A camera is on {path}, and no view tells where that is: add one of its robot.")
        return found[0]

    def batch(
        self, views: torch.Tensor, rays: Any, images: Images, worlds: torch.Tensor, gains: torch.Tensor | None
    ) -> Batch:
        """Return views that are drawn together, from tensors that they share; without gains they are 1."""
        wp = self._wp
        with self._on_stream():
            if gains is None:
                gains = torch.ones((len(views), 3), device=views.device)
            shared = wp.from_torch(views, dtype=wp.transformf), rays, images, wp.from_torch(worlds)
            return Batch(*shared, wp.from_torch(gains, dtype=wp.vec3f))

    def draw(self, batch: Batch, far: float) -> None:
        """Draw pictures.

        Args:
            batch: From `batch`.
            far: Distance in m beyond which nothing is seen.
        """
        self.look()
        config = self._camera.default_render_config
        config.max_distance = far
        images = batch.images
        shading = self.shading if images.color_image is not None else None
        drawn = images if shading is None else images._replace(color_image=None)
        with self._on_stream():
            self._camera.update(
                self._state,
                batch.views,
                batch.rays,
                world_indices=batch.worlds,
                **{kind: image for kind, image in drawn._asdict().items() if image is not None},
            )
            if shading is not None:
                shading.colour(batch)


_FACTORIES = {
    "color_image": "image_color",
    "forward_depth_image": "image_depth_forward",
    "normal_image": "image_normal",
    "shape_index_image": "image_shape_index",
    "albedo_image": "image_albedo",
}


def drawing_libraries() -> tuple[Any, Any, Any]:
    """Return `warp`, `newton` and `newton.sensors`, told to be quiet.

    Raises:
        MyriadError: If newton is not installed.
    """
    try:
        return quiet_warp(), import_module("newton"), import_module("newton.sensors")
    except ImportError:
        raise MyriadError("Cameras need newton, which is not installed: pip install 'newton>=1.8'.") from None


def sensor(sensors: Any, model: Any) -> Any:
    """Return newton's SensorCamera of a model.

    Raises:
        MyriadError: If a texture is no picture.
    """
    try:
        return sensors.SensorCamera(model)
    except ValueError as error:
        raise MyriadError(f"Cameras cannot draw this scene: {error}.") from None


def add_shape(newton: Any, warp: Any, builder: Any, body: int, shape: Shape, grown: float = 0.0) -> int:
    """Add a shape to a newton builder's body, -1 for the world, and return its number.

    Args:
        newton: The module.
        warp: The module.
        builder: newton's ModelBuilder.
        body: Number of the body.
        shape: The shape.
        grown: How much bigger it is drawn, in m.
    """
    if shape.kind == "plane":
        return builder.add_ground_plane(height=shape.position[2], color=_GROUND)
    form: dict[str, Any] = dict(zip(_SIZES.get(shape.kind, ()), [size + grown for size in shape.size], strict=True))
    if shape.kind == "mesh":
        form["mesh"] = newton.Mesh(
            shape.points, shape.triangles, uvs=shape.uvs, texture=shape.texture or None, compute_inertia=False
        )
    place = warp.transform(warp.vec3(*shape.position), warp.quat(*shape.rotation))
    colour = _WHITE if shape.texture else shape.colour
    return getattr(builder, f"add_shape_{shape.kind}")(body, xform=place, color=colour, **form)


def _find_bodies(engine: Engine) -> tuple[list[str], list[Callable[[], Poses]]]:
    """Return the names of what moves in environment 0, as `robot_shapes` takes them, and what looks where they are."""
    num_envs = engine.num_envs
    names: list[str] = []
    looks: list[Callable[[], Poses]] = []

    def look(poses: Callable[[], Poses]) -> Poses:
        positions, orientations = poses()
        return positions.reshape(num_envs, -1, 3), orientations.reshape(num_envs, -1, 4)

    for robot in engine.robots().values():
        roots = robot.prim_paths[: max(1, len(robot.prim_paths) // num_envs)]
        names += [f"{_top(root)}/{name}" for root in roots for name in robot.body_names]
        looks.append(partial(look, partial(engine.link_poses, robot)))
    for view in engine.scene.bodies().values():
        paths = view.prim_paths[: len(view.prim_paths) // num_envs]
        if not {_called(path) for path in paths} & set(names):
            names += map(_called, paths)
            looks.append(partial(look, partial(view.get_world_poses, clone=False)))
    for path in _other_bodies(engine.stage, names):
        body_class: Any = engine.scene.body_class
        view = body_class(f"{ENVS_PATH}/.*/{path}", name=f"camera sees {path}")
        view.bind(engine)
        view.initialize(None)
        names.append(_called(f"{ENV_0_PATH}/{path}"))
        looks.append(partial(look, partial(view.get_world_poses, clone=False)))
    for name, marker in engine.markers.items():
        names.append(name)
        looks.append(lambda marker=marker: _in_world(marker, engine.env_positions))
    return names, looks


def _in_world(marker: Any, origins: torch.Tensor) -> Poses:
    return (marker.positions + origins).unsqueeze(1), marker.orientations.unsqueeze(1)


def _other_bodies(stage: Usd.Stage, names: list[str]) -> list[str]:
    """Return the paths below environment 0 of bodies that are seen and belong to no view."""
    prims = [prim for prim in Usd.PrimRange(stage.GetPrimAtPath(ENV_0_PATH)) if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
    paths = [str(prim.GetPath()) for prim in prims]
    others = [path for path in paths if _called(path) not in names and path.rsplit("/", 1)[-1] not in names]
    return [path[len(ENV_0_PATH) + 1 :] for path in others if robot_shapes(stage, [_called(path)])]


def _top(path: str) -> str:
    """Return what a prim of an environment lies in: Robot for /World/envs/env_0/Robot/torso."""
    return path.split("/")[ENV_0_PATH.count("/") + 1]


def _called(path: str) -> str:
    """Return the name of a body: Robot/torso for the same."""
    return f"{_top(path)}/{path.rsplit('/', 1)[-1]}"
