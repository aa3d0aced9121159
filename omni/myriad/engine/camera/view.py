# SPDX-License-Identifier: Apache-2.0
"""Cameras as tasks see them: names, arguments, shapes and units of Isaac Sim's `CameraView`, which draws with RTX."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from pxr import Gf, Usd, UsdGeom, UsdPhysics
from torch import Tensor

from omni.myriad.engine import paths
from omni.myriad.engine.base import ENV_0_PATH
from omni.myriad.engine.camera.tracer import Images, RayTracer
from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_conjugate, quat_mul, quat_rotate, quat_rotate_inverse

Indices = Tensor | Sequence[int] | None
Poses = tuple[Tensor, Tensor]


class Output(NamedTuple):
    """What a camera can be asked for.

    Attributes:
        draws: What has to be drawn for it, a field of `tracer.Images`.
        channels: Numbers of a pixel.
        dtype: Their type.
    """

    draws: str
    channels: int
    dtype: torch.dtype


OUTPUTS = {
    "rgb": Output("color_image", 3, torch.uint8),
    "rgba": Output("color_image", 4, torch.uint8),
    "depth": Output("forward_depth_image", 1, torch.float32),
    "distance_to_image_plane": Output("forward_depth_image", 1, torch.float32),
    "distance_to_camera": Output("forward_depth_image", 1, torch.float32),
    "normals": Output("normal_image", 4, torch.float32),
    "semantic_segmentation": Output("shape_index_image", 1, torch.int32),
}
"""By the names of Isaac Sim's annotators."""

_PRESERVE = -101
"""Newton's mark for a view that is not drawn."""

_MOST_LENSES = 64
"""How many runs of neighbouring cameras with the same lens there may be: each is drawn on its own."""

# Turns of a camera's frame against that of USD, which looks along -z with y up: "world" looks along x with z up, "ros"
# along z with y down.
_AXES = {"usd": (1.0, 0.0, 0.0, 0.0), "world": (0.5, -0.5, 0.5, 0.5), "ros": (0.0, 1.0, 0.0, 0.0)}


class CameraView:
    """The same cameras in every environment: `UsdGeom.Camera` prims, fixed, or mounted on what lies above them.

    Pictures show the world after the last step of physics, and are drawn when they are asked for: pixels (cameras,
    height, width, channels), all cameras of one environment, then the next one's, on the engine's device. They are the
    view's own buffers, which the next drawing overwrites. A camera sees its own environment and what all share. Lenses
    have square pixels: their vertical aperture follows from the resolution, as in Isaac Sim.

    Args:
        prim_paths_expr: Expression of camera prims, such as "/World/envs/.*/Camera".
        name: Name under which the scene registers the view.
        camera_resolution: Width and height in pixels.
        output_annotators: What can be asked for, of `OUTPUTS`.
        positions: Not available here, as the next five: cameras are where their prims are until `set_world_poses`.
        translations: Not available here.
        orientations: Not available here.
        scales: Not available here.
        visibilities: Not available here.
        reset_xform_properties: Accepted for Isaac Sim's sake and unused.
        every: The pictures are drawn anew in every so many steps that they are asked for in.

    Attributes:
        gains: Factors of red, green and blue of each camera, (cameras, 1, 1, 3), as of other light; None for none.

    Raises:
        MyriadError: If an argument cannot be.
    """

    def __init__(
        self,
        prim_paths_expr: str | list[str],
        name: str = "camera_prim_view",
        camera_resolution: tuple[int, int] = (256, 256),
        output_annotators: Sequence[str] = ("rgb", "depth"),
        positions: None = None,
        translations: None = None,
        orientations: None = None,
        scales: None = None,
        visibilities: None = None,
        reset_xform_properties: bool = True,
        every: int = 1,
    ) -> None:
        given = {"positions": positions, "translations": translations, "orientations": orientations}
        given |= {"scales": scales, "visibilities": visibilities}
        if refused := [argument for argument, value in given.items() if value is not None]:
            raise MyriadError(f"CameraView({refused[0]}=...) is not available here: author the prims so.")
        if unknown := [kind for kind in output_annotators if kind not in OUTPUTS]:
            raise MyriadError(f"Camera {name} cannot give {unknown[0]!r}; choose from: {', '.join(OUTPUTS)}.")
        if not output_annotators:
            raise MyriadError(f"Camera {name} gives nothing: name some of {', '.join(OUTPUTS)} in output_annotators.")
        if len(camera_resolution) != 2 or min(camera_resolution) < 1:
            raise MyriadError(f"Camera {name}: camera_resolution is (width, height), not {camera_resolution}.")
        if every < 1:
            raise MyriadError(f"Camera {name}: every={every} must be at least 1.")
        self.name, self.every = name, every
        self.camera_resolution = (int(camera_resolution[0]), int(camera_resolution[1]))
        self._expression, self.output_annotators = prim_paths_expr, list(output_annotators)
        self._drawn_at: int | None = None
        self._relative: list[str] = []
        self._images: Any = None
        self.gains: Tensor | None = None

    # -- life ---------------------------------------------------------------------------------------------------------

    def bind(self, engine: Any) -> None:
        """Connect the view to the engine whose scene it was added to."""
        self._engine = engine

    def initialize(self, physics_sim_view: Any = None) -> None:
        """Find the prims, read their lenses and places; drawing is prepared when pictures are first asked for.

        Raises:
            MyriadError: If the expression matches nothing, or something that is no camera.
        """
        engine = self._engine
        self._relative = paths.expand(self._expression, engine.stage, engine.num_envs)
        prims = [engine.stage.GetPrimAtPath(f"{ENV_0_PATH}/{path}") for path in self._relative]
        if wrong := [prim for prim in prims if not prim.IsA(UsdGeom.Camera)]:
            raise MyriadError(f"Camera {self.name}: {wrong[0].GetPath()} is no Camera prim; add_camera makes one.")
        cameras = [UsdGeom.Camera(prim) for prim in prims]
        n, device = engine.num_envs, engine.device
        self._focal_lengths = [float(camera.GetFocalLengthAttr().Get()) for camera in cameras] * n
        self._apertures = [float(camera.GetHorizontalApertureAttr().Get()) for camera in cameras] * n
        ranges = {tuple(map(float, camera.GetClippingRangeAttr().Get())) for camera in cameras}
        if len(ranges) > 1:
            raise MyriadError(f"Camera {self.name}: its prims have different clipping ranges.")
        ((self._near, self._far),) = ranges
        cache = UsdGeom.XformCache()
        self._carriers = [_carrier(prim) for prim in prims]
        bases = [_pose(cache, prim.GetParent(), carrier) for prim, carrier in zip(prims, self._carriers, strict=True)]
        locals_ = [_pose(cache, prim, prim.GetParent()) for prim in prims]

        def rows(poses: list[list[float]]) -> Tensor:
            return torch.tensor(poses, device=device).repeat(n, 1)

        self._bases, self._local = rows(bases), rows(locals_)  # (cameras, 7): position, orientation as wxyz
        self._views = torch.zeros((self.count, 7), device=device)
        self._worlds = torch.arange(n, dtype=torch.int32, device=device).repeat_interleave(len(prims))
        self._frames = torch.zeros((self.count, 7), device=device)  # of what carries cameras, as wxyz
        self._frames[:, :3], self._frames[:, 3] = engine.env_positions.repeat_interleave(len(prims), 0), 1.0
        self._calls = torch.zeros((), dtype=torch.int32, device=device)
        self._shown = self._worlds.clone()  # or _PRESERVE, where the last picture stays
        self._turns = {name: torch.tensor(turn, device=device) for name, turn in _AXES.items()}
        self._images = self._drawn_at = None

    @property
    def count(self) -> int:
        """Number of cameras: those of one environment times `num_envs`."""
        return len(self._relative) * self._engine.num_envs

    @property
    def prim_paths(self) -> list[str]:
        """Paths of all cameras, in the order of the rows of every tensor."""
        envs = range(self._engine.num_envs)
        return [paths.in_environment(path, env) for env, path in itertools.product(envs, self._relative)]

    # -- pictures -----------------------------------------------------------------------------------------------------

    def get_rgb(self, out: Tensor | None = None) -> Tensor:
        """Return colours, (cameras, height, width, 3) uint8: red, green, blue as screens show them."""
        return self._into(out, self._picture("rgb"))

    def get_depth(self, out: Tensor | None = None) -> Tensor:
        """Return distances to the image plane in m, (cameras, height, width, 1), infinite beyond the clipping range."""
        return self._into(out, self._picture("depth"))

    def get_rgb_tiled(self, out: Tensor | None = None, device: str = "cpu") -> Tensor:
        """Return the colours of all cameras as one picture, on the engine's device."""
        return self._into(out, self._tiled(self._picture("rgb")))

    def get_depth_tiled(self, out: Tensor | None = None, device: str = "cpu") -> Tensor:
        """Return the distances of all cameras as one picture, on the engine's device."""
        return self._into(out, self._tiled(self._picture("depth")))

    def get_data(
        self, annotator_type: str, *, tiled: bool = False, out: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return what an annotator says, and what is to be known of it.

        Args:
            annotator_type: One of `OUTPUTS` that the view was made with. "normals" are along the world's axes, with
                0 as the fourth number and where nothing is; "semantic_segmentation" numbers, whose names are in the
                second result as "idToLabels".
            tiled: Whether to return all cameras as one picture.
            out: A tensor to fill.

        Raises:
            MyriadError: If it cannot be asked for.
        """
        picture = self._picture(annotator_type)
        labels: list[str] = self._tracer.labels if annotator_type == "semantic_segmentation" else []
        info = {"idToLabels": {str(number): {"class": label} for number, label in enumerate(labels)}} if labels else {}
        return self._into(out, self._tiled(picture) if tiled else picture), info

    def last_picture(self, kind: str) -> Tensor | None:
        """Return what was drawn last, drawing nothing, for those who only look on; None before the first picture."""
        return None if self._images is None else self._derive(kind)

    def last_poses(self, indices: Indices = None, camera_axes: str = "world") -> Poses:
        """Return from where the last pictures were drawn, as `get_world_poses` says it."""
        return self._said(
            torch.cat((self._views[:, :3], self._views[:, 6:], self._views[:, 3:6]), dim=-1), indices, camera_axes
        )

    def _picture(self, kind: str) -> Tensor:
        if kind not in OUTPUTS or not {OUTPUTS[kind].draws} & {
            OUTPUTS[other].draws for other in self.output_annotators
        }:
            raise MyriadError(f"Camera {self.name} was not made to give {kind!r}: say so in output_annotators.")
        self.draw()
        return self._derive(kind)

    def _into(self, out: Tensor | None, picture: Tensor) -> Tensor:
        return picture if out is None else out.copy_(picture)

    def _tiled(self, pictures: Tensor) -> Tensor:
        """Lay pictures out in a grid as Isaac Sim does: as many rows as the root of their number, rounded."""
        count, height, width, channels = pictures.shape
        rows = round(count**0.5)
        columns = -(-count // rows)
        grid = pictures.new_zeros((rows * columns, height, width, channels))
        grid[:count] = pictures
        return grid.view(rows, columns, height, width, channels).transpose(1, 2).reshape(-1, columns * width, channels)

    # -- drawing ------------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Draw all that the view was made for, unless that was done since the last step."""
        if self._drawn_at == self._engine.num_steps:
            return
        if self._images is None:
            self.prepare()
        self._drawn_at = self._engine.num_steps
        self._tracer.look()
        self._place()
        if self.every > 1:
            self._shown.copy_(torch.where(self._calls % self.every == 0, self._worlds, _PRESERVE))
            self._calls += 1
        for batch in self._lenses:
            self._tracer.draw(batch, self._reach)

    def prepare(self) -> None:
        """Make pictures, and rays for each run of cameras with one lens; again if what is drawn has changed."""
        self._tracer: RayTracer = self._engine.ray_tracer()
        width, height = self.camera_resolution
        self._drawn_at = None
        self._images = self._tracer.images(
            self.count, width, height, *dict.fromkeys(OUTPUTS[kind].draws for kind in self.output_annotators)
        )
        self._pixels = {
            name: self._tracer.tensor(image) for name, image in self._images._asdict().items() if image is not None
        }
        self._find_lenses()
        self._riders = [(number, self._tracer.number_of(carrier)) for number, carrier in enumerate(self._carriers)]

    def _find_lenses(self) -> None:
        lenses = list(zip(self._focal_lengths, self._apertures, strict=True))
        runs = [(lens, len(list(run))) for lens, run in itertools.groupby(lenses)]
        if len(runs) > _MOST_LENSES:
            raise MyriadError(
                f"Camera {self.name}: lenses change {len(runs) - 1} times from one camera to the next, at most "
                f"{_MOST_LENSES - 1} are drawn: give neighbouring environments the same."
            )
        width, height = self.camera_resolution
        made: dict[Any, Any] = {}
        ends = list(itertools.accumulate(length for _, length in runs))
        gains = None if self.gains is None else self.gains.view(-1, 3)
        self._lenses, cosines = [], []
        for (lens, length), end in zip(runs, ends, strict=True):
            if lens not in made:
                made[lens] = self._tracer.rays(width, height, *lens, self._near)
            part = slice(end - length, end)
            images = Images(*(image if image is None else image[part] for image in self._images))
            tints = None if gains is None else gains[part]
            self._lenses.append(self._tracer.batch(self._views[part], made[lens][0], images, self._shown[part], tints))
            cosines.append(made[lens][1])
        # How far rays go is compiled into what draws, so it does not follow the lens. Depth is cut exactly.
        gives_depth = "forward_depth_image" in {OUTPUTS[kind].draws for kind in self.output_annotators}
        self._reach = self._far * (2.0 if gives_depth else 1.0)
        self._cosines = (
            cosines[0]
            if len(made) == 1
            else torch.cat([cosine.expand(length, -1, -1) for (_, length), cosine in zip(runs, cosines, strict=True)])
        )

    def _place(self) -> None:
        """Put cameras where what carries them is."""
        poses = self._compose(self._carried(), self._mounted())
        self._views[:, :3], self._views[:, 3:6], self._views[:, 6] = poses[:, :3], poses[:, 4:], poses[:, 3]

    def _mounted(self) -> Tensor:
        """Return where cameras are in the frames of what carries them, (cameras, 7)."""
        return self._compose(self._bases, self._local)

    def _carried(self) -> Tensor:
        """Return where what carries each camera is in the world, (cameras, 7)."""
        per_env = len(self._relative)
        for number, body in self._riders:
            if body is not None:
                self._frames[number::per_env, :3] = self._tracer.poses[:, body, :3]
                self._frames[number::per_env, 3:] = self._tracer.poses[:, body, 3:].roll(1, dims=-1)
        return self._frames

    @staticmethod
    def _compose(outer: Tensor, inner: Tensor) -> Tensor:
        position = outer[:, :3] + quat_rotate(outer[:, 3:], inner[:, :3])
        return torch.cat((position, quat_mul(outer[:, 3:], inner[:, 3:])), dim=-1)

    def _derive(self, kind: str) -> Tensor:
        """Return an annotator's picture from what was drawn."""
        output = OUTPUTS[kind]
        drawn = self._pixels[output.draws]
        if output.draws == "color_image":
            colours = drawn.view(torch.uint8).unflatten(-1, (-1, 4))
            if self.gains is None or self._tracer.shading is not None:  # which has them in
                return colours[..., : output.channels]
            lit = (colours[..., :3] * self.gains).clamp(max=255.0).to(torch.uint8)
            return lit if output.channels == 3 else torch.cat((lit, colours[..., 3:]), dim=-1)
        if output.draws == "forward_depth_image":
            seen = (drawn > 0.0) & (drawn <= self._far)
            distance = drawn / self._cosines if kind == "distance_to_camera" else drawn
            return torch.where(seen, distance, torch.inf).unsqueeze(-1)
        if output.draws == "normal_image":
            return torch.nn.functional.pad(drawn, (0, 1))
        return self._tracer.label_of_shape[drawn.view(torch.int32).long() + 1].unsqueeze(-1)

    # -- where cameras are --------------------------------------------------------------------------------------------

    def get_local_poses(self, indices: Indices = None, camera_axes: str = "world") -> Poses:
        """Return positions (M, 3) in m and orientations (M, 4) as wxyz in the frame of the prims' parents.

        Args:
            indices: Cameras; None means all.
            camera_axes: "world" (looks along x, z is up), "ros" (z, y is down) or "usd" (-z, y is up).
        """
        return self._said(self._local, indices, camera_axes)

    def set_local_poses(
        self,
        positions: Tensor | None = None,
        orientations: Tensor | None = None,
        indices: Indices = None,
        camera_axes: str = "world",
    ) -> None:
        """Move cameras in the frames of their prims' parents, as `get_local_poses` says them."""
        rows = slice(None) if indices is None else torch.as_tensor(indices, device=self._local.device)
        if positions is not None:
            self._local[rows, :3] = positions
        if orientations is not None:
            self._local[rows, 3:] = quat_mul(orientations, self._axes(camera_axes, True).expand_as(orientations))
        self._drawn_at = None

    def get_world_poses(self, indices: Indices = None, camera_axes: str = "world", usd: bool = True) -> Poses:
        """Return positions (M, 3) in m and orientations (M, 4) as wxyz in the world, after the last step."""
        if self._images is None:
            self.prepare()
        self._tracer.look()
        self._place()
        return self.last_poses(indices, camera_axes)

    def set_world_poses(
        self,
        positions: Tensor | None = None,
        orientations: Tensor | None = None,
        indices: Indices = None,
        camera_axes: str = "world",
        usd: bool = True,
    ) -> None:
        """Put cameras to places of the world, from where they go with what carries them, as `get_world_poses` says."""
        old = self.get_world_poses(indices, camera_axes)
        at, turned = (
            new if new is not None else kept for new, kept in zip((positions, orientations), old, strict=True)
        )
        rows = slice(None) if indices is None else torch.as_tensor(indices, device=self._local.device)
        frames = self._compose(self._carried(), self._bases)[rows]
        turn = quat_mul(turned, self._axes(camera_axes, True).expand_as(turned))
        self._local[rows, :3] = quat_rotate_inverse(frames[:, 3:], at - frames[:, :3])
        self._local[rows, 3:] = quat_mul(quat_conjugate(frames[:, 3:]), turn)
        self._drawn_at = None

    def _said(self, poses: Tensor, indices: Indices, camera_axes: str) -> Poses:
        chosen = poses if indices is None else poses[torch.as_tensor(indices, device=poses.device)]
        axes = self._axes(camera_axes, False)
        return chosen[:, :3].clone(), quat_mul(chosen[:, 3:], axes.expand(len(chosen), 4))

    def _axes(self, camera_axes: str, back: bool) -> Tensor:
        if camera_axes not in _AXES:
            raise MyriadError(f"camera_axes={camera_axes!r} is unknown; choose one of {', '.join(_AXES)}.")
        turn = self._turns[camera_axes]
        return quat_conjugate(turn.unsqueeze(0))[0] if back else turn

    # -- lenses -------------------------------------------------------------------------------------------------------

    def get_resolutions(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        return self.camera_resolution

    def set_resolutions(self, resolution: tuple[int, int]) -> None:
        """Set width and height in pixels, of all cameras."""
        self.camera_resolution = (int(resolution[0]), int(resolution[1]))
        self._images = self._drawn_at = None

    def get_aspect_ratios(self) -> float:
        """Return width by height."""
        return self.camera_resolution[0] / self.camera_resolution[1]

    def get_focal_lengths(self, indices: Indices = None) -> list[float]:
        """Return focal lengths in cm, as Isaac Sim does: a tenth of what the prims say."""
        return [self._focal_lengths[i] / 10.0 for i in self._numbers(indices)]

    def set_focal_lengths(self, values: Sequence[float], indices: Indices = None) -> None:
        """Set focal lengths in cm, one for each camera; at most 64 runs of neighbours may differ.

        A step that was captured in a CUDA graph before keeps the lenses that it had.

        Raises:
            MyriadError: If there are too few values, or too many runs.
        """
        self._set_lenses(self._focal_lengths, [10.0 * float(value) for value in values], indices)

    def get_horizontal_apertures(self, indices: Indices = None) -> list[float]:
        """Return horizontal apertures in mm."""
        return [self._apertures[i] for i in self._numbers(indices)]

    def set_horizontal_apertures(self, values: Sequence[float], indices: Indices = None) -> None:
        """Set horizontal apertures in mm; see `set_focal_lengths`."""
        self._set_lenses(self._apertures, [float(value) for value in values], indices)

    def get_vertical_apertures(self, indices: Indices = None) -> list[float]:
        """Return vertical apertures in mm: those that give square pixels."""
        return [aperture / self.get_aspect_ratios() for aperture in self.get_horizontal_apertures(indices)]

    def _numbers(self, indices: Indices) -> list[int]:
        if indices is None:
            return list(range(self.count))
        return indices.tolist() if isinstance(indices, Tensor) else list(indices)

    def _set_lenses(self, of_cameras: list[float], values: list[float], indices: Indices) -> None:
        numbers = self._numbers(indices)
        if len(numbers) != len(values) or min(values, default=1.0) <= 0.0:
            raise MyriadError(f"Camera {self.name}: {len(numbers)} positive lengths are needed, got {values}.")
        for number, value in zip(numbers, values, strict=True):
            of_cameras[number] = value
        if self._images is not None:
            self._find_lenses()
        self._drawn_at = None


def _carrier(prim: Usd.Prim) -> Usd.Prim:
    """Return the body that carries a prim, or environment 0."""
    prim = prim.GetParent()
    while str(prim.GetPath()) != ENV_0_PATH and not prim.HasAPI(UsdPhysics.RigidBodyAPI):
        prim = prim.GetParent()
    return prim


def _pose(cache: UsdGeom.XformCache, prim: Usd.Prim, frame: Usd.Prim) -> list[float]:
    """Return position and orientation as wxyz of a prim in the frame of another one above it."""
    matrix = cache.GetLocalToWorldTransform(prim) * cache.GetLocalToWorldTransform(frame).GetInverse()
    matrix.Orthonormalize()
    turn = Gf.Transform(matrix).GetRotation().GetQuat()
    return [*Gf.Transform(matrix).GetTranslation(), turn.GetReal(), *turn.GetImaginary()]
