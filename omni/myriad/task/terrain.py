# SPDX-License-Identifier: Apache-2.0
"""Ground that is not flat: tiles in rows of difficulty and columns of kinds, one for all environments of a task.

A tile is a grid of heights, whole multiples of a small step. The tiles lie side by side, level after level along x and
column after column along y, in a flat border; the first one's corner is the origin of the world. The engine makes one
static body of them all (`Engine.add_height_field`), and tasks look heights up where they need them, by one gather.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import torch
from torch import Tensor

from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from omni.myriad.engine import Engine

KEY = "task.env.terrain"
PRIM_PATH = "/World/terrain"

Ramp = tuple[float, float]
"""A number that grows with difficulty: its value at 0 and at 1. A YAML file may also say one number."""


@dataclass(frozen=True)
class Grid:
    """What a tile is measured in.

    Args:
        size: Heights along an edge of the tile.
        cell: From one height to the next, in m.
        step: Of which heights are multiples, in m.
    """

    size: int
    cell: float
    step: float

    def cells(self, metres: float) -> int:
        """Return a length as whole cells, rounded towards 0."""
        return int(metres / self.cell)

    def steps(self, metres: float) -> int:
        """Return a height as whole steps, rounded towards 0."""
        return int(metres / self.step)

    def flat(self) -> np.ndarray:
        """Return a flat tile, (size, size)."""
        return np.zeros((self.size, self.size), np.int32)

    def middle(self, metres: float) -> slice:
        """Return what lies in a square of so many m in the tile's middle, along an edge."""
        half = self.cells(metres / 2.0)
        return slice(max(0, self.size // 2 - half), self.size // 2 + half)


def at(ramp: Ramp, difficulty: float) -> float:
    """Return a ramp's value at a difficulty from 0 to 1."""
    return ramp[0] + (ramp[1] - ramp[0]) * difficulty


@dataclass(frozen=True)
class Kind:
    """What all kinds of tiles have.

    Args:
        share: Part of the columns that are of this kind, beside the shares of the others.
        platform: Edge of the flat square in the middle, on which robots start, in m.
        noise: The largest height, up and down, of noise on top, in m; 0 for none.
    """

    share: float = 1.0
    platform: float = 3.0
    noise: float = 0.0

    def heights(self, grid: Grid, difficulty: float, random: np.random.Generator) -> np.ndarray:
        """Return a tile's heights in steps, (size, size)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Slope(Kind):
    """A pyramid with a flat top, or a hollow.

    Args:
        slope: Rise towards the middle, m per m; below 0 it falls.
    """

    slope: Ramp = (0.0, 0.4)

    def heights(self, grid: Grid, difficulty: float, random: np.random.Generator) -> np.ndarray:
        """Return heights that grow with the product of the distances from the edges, as OmniIsaacGymEnvs' do."""
        middle = grid.size // 2
        near = (middle - np.abs(middle - np.arange(grid.size))) / middle
        highest = int(at(self.slope, difficulty) * (grid.cell / grid.step) * (grid.size / 2))
        tile = (highest * near[:, None] * near).astype(np.int32)
        corner = tile[middle - grid.cells(self.platform / 2.0), middle - grid.cells(self.platform / 2.0)]
        return np.clip(tile, min(corner, 0), max(corner, 0))


@dataclass(frozen=True)
class Stairs(Kind):
    """Stairs on all four sides.

    Args:
        height: Of a step in m, up towards the middle; below 0 down.
        width: Of a step in m.
    """

    height: Ramp = (0.05, 0.225)
    width: float = 0.31

    def heights(self, grid: Grid, difficulty: float, random: np.random.Generator) -> np.ndarray:
        """Return one square on top of another, as long as they are larger than the platform."""
        tile, width, platform = grid.flat(), max(1, grid.cells(self.width)), grid.cells(self.platform)
        step, begin, end, height = grid.steps(at(self.height, difficulty)), 0, grid.size, 0
        while end - begin > platform:
            begin, end, height = begin + width, end - width, height + step
            tile[begin:end, begin:end] = height
        return tile


@dataclass(frozen=True)
class Boxes(Kind):
    """Boxes on the ground and pits in it.

    Args:
        height: Of the highest boxes in m; others have half of it, and pits are as deep.
        size: Least and greatest edge in m.
        count: How many, of which some hide others.
    """

    height: Ramp = (0.025, 0.175)
    size: tuple[float, float] = (1.0, 2.0)
    count: int = 40

    def heights(self, grid: Grid, difficulty: float, random: np.random.Generator) -> np.ndarray:
        """Return boxes at random places, on a grid of four cells."""
        tile, highest = grid.flat(), grid.steps(at(self.height, difficulty))
        edges = np.arange(grid.cells(self.size[0]), max(grid.cells(self.size[1]), grid.cells(self.size[0]) + 1), 4)
        for _ in range(self.count):
            width, length = random.choice(edges, 2)
            x, y = (random.choice(np.arange(0, max(1, grid.size - edge), 4)) for edge in (width, length))
            tile[x : x + width, y : y + length] = random.choice([-highest, -highest // 2, highest // 2, highest])
        return _with_platform(tile, grid, self.platform)


@dataclass(frozen=True)
class Stones(Kind):
    """Stepping stones over a pit.

    Args:
        size: Edge of a stone in m.
        distance: From one to the next in m.
        height: By which stones are higher or lower than the platform, at most, in m.
        depth: Of the pit in m.
    """

    size: Ramp = (2.0, 0.2)
    distance: Ramp = (0.1, 0.1)
    height: Ramp = (0.0, 0.0)
    depth: float = 2.0

    def heights(self, grid: Grid, difficulty: float, random: np.random.Generator) -> np.ndarray:
        """Return rows of stones, each row shifted at random."""
        size = max(1, grid.cells(at(self.size, difficulty)))
        pitch, most = size + max(1, grid.cells(at(self.distance, difficulty))), grid.steps(at(self.height, difficulty))
        tile = grid.flat() - grid.steps(self.depth)
        for y in range(0, grid.size, pitch):
            for x in range(-int(random.integers(pitch)), grid.size, pitch):
                tile[max(x, 0) : max(x + size, 0), y : y + size] = random.integers(-most, most + 1)
        return _with_platform(tile, grid, self.platform)


@dataclass(frozen=True)
class Gap(Kind):
    """A ditch around the platform.

    Args:
        width: In m.
        depth: In m.
    """

    width: Ramp = (0.1, 0.8)
    depth: float = 1.0

    def heights(self, grid: Grid, difficulty: float, random: np.random.Generator) -> np.ndarray:
        """Return a square ditch."""
        tile = grid.flat()
        ditch = grid.middle(self.platform + 2.0 * at(self.width, difficulty))
        tile[ditch, ditch] = -grid.steps(self.depth)
        return _with_platform(tile, grid, self.platform)


@dataclass(frozen=True)
class Waves(Kind):
    """Waves along both edges.

    Args:
        amplitude: Of each of the two, in m.
        count: Waves in a tile.
    """

    amplitude: Ramp = (0.02, 0.2)
    count: float = 2.0

    def heights(self, grid: Grid, difficulty: float, random: np.random.Generator) -> np.ndarray:
        """Return a cosine along y plus a sine along x; the middle is as high as it comes."""
        phase = 2.0 * np.pi * self.count * np.arange(grid.size) / grid.size
        waves = np.sin(phase)[:, None] + np.cos(phase)
        return (at(self.amplitude, difficulty) / grid.step * waves).astype(np.int32)


@dataclass(frozen=True)
class Noise(Kind):
    """Uneven ground.

    Args:
        height: The largest height, up and down, in m.
    """

    height: Ramp = (0.0, 0.1)

    def heights(self, grid: Grid, difficulty: float, random: np.random.Generator) -> np.ndarray:
        """Return noise."""
        return _noise(grid, at(self.height, difficulty), random)


def _with_platform(tile: np.ndarray, grid: Grid, platform: float) -> np.ndarray:
    """Return a tile with a flat square of height 0 in its middle."""
    tile[grid.middle(platform), grid.middle(platform)] = 0
    return tile


def _noise(grid: Grid, most: float, random: np.random.Generator) -> np.ndarray:
    """Return heights drawn every 0.2 m, in eighths of the span, and smooth surfaces between them, (size, size)."""
    coarse = max(2, int(grid.size * grid.cell / 0.2))
    drawn = random.integers(-4, 5, (coarse, coarse)) * (most / 4.0 / grid.step)
    smooth = torch.nn.functional.interpolate(
        torch.from_numpy(drawn)[None, None], (grid.size, grid.size), mode="bicubic", align_corners=True
    )
    return np.rint(smooth[0, 0].clamp(-most / grid.step, most / grid.step).numpy()).astype(np.int32)


KINDS: dict[str, type[Kind]] = {
    "slope": Slope,
    "stairs": Stairs,
    "boxes": Boxes,
    "stones": Stones,
    "gap": Gap,
    "waves": Waves,
    "noise": Noise,
}
"""The kinds of tiles by the names that YAML files use."""

USUAL = {
    "slope_down": {"kind": "slope", "share": 0.05, "slope": (0.0, -0.4)},
    "slope_up": {"kind": "slope", "share": 0.05},
    "rough_slope_down": {"kind": "slope", "share": 0.05, "slope": (0.0, -0.4), "noise": 0.1},
    "rough_slope_up": {"kind": "slope", "share": 0.05, "noise": 0.1},
    "stairs_down": {"kind": "stairs", "share": 0.35, "height": (-0.05, -0.225)},
    "stairs_up": {"kind": "stairs", "share": 0.25},
    "boxes": {"kind": "boxes", "share": 0.2},
}
"""The tiles of OmniIsaacGymEnvs' AnymalTerrain, for a section that names none."""


@dataclass(frozen=True)
class Settings:
    """The section `env.terrain` of a task's YAML.

    Args:
        kinds: Tiles by names of the file's own: each says its `kind`, a key of `KINDS`, and that kind's settings.
        levels: Rows of tiles, from easy to difficult: of n levels the i-th one has the difficulty i / n.
        columns: Columns of tiles, shared out among the kinds in their order.
        tile: Edge of a tile in m.
        border: Width of the flat ground around the tiles in m.
        cell: Distance of neighbouring heights in m.
        step: Of which heights are multiples, in m.
        wall_slope: What is steeper, m per m, becomes a vertical wall.
        seed: Of what is drawn; the same for every run, so that terrains can be compared.
        static_friction: Of the ground, at rest.
        dynamic_friction: Of the ground, in motion.
        restitution: Of the ground.
        curriculum: Whether robots begin on the first levels and move on; else they are spread over all.
        start_levels: Levels on which robots begin, with a curriculum: so many of the first ones.
        up_beyond: Who comes further than this part of a tile's edge in an episode moves to the next level.
        down_below: Who does not come as far as this part of the way that was asked for moves to the level before.
        after_last: Where who has done the last level goes on: "random" for any level, "first" for the first one.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    levels: int = 10
    columns: int = 20
    tile: float = 8.0
    border: float = 20.0
    cell: float = 0.1
    step: float = 0.005
    wall_slope: float = 0.5
    seed: int = 1
    static_friction: float = 1.0
    dynamic_friction: float = 1.0
    restitution: float = 0.0
    curriculum: bool = True
    start_levels: int = 1
    up_beyond: float = 0.5
    down_below: float = 0.25
    after_last: str = "random"


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Check a section `env.terrain` and return what it says.

    Raises:
        MyriadError: If a setting is unknown or has another type, or a size is not possible.
    """
    plain = {name: value for name, value in given.items() if name != "kinds"}
    kinds = {}
    for name, tile in (given.get("kinds") or USUAL).items():
        here = f"{KEY}.kinds.{name}"
        kind = tile.get("kind") if isinstance(tile, Mapping) else None
        if kind not in KINDS:
            raise MyriadError(f"{here}.kind={kind} is unknown; the kinds of tiles are: {', '.join(KINDS)}.")
        kinds[name] = _read(KINDS[kind], {key: value for key, value in tile.items() if key != "kind"}, here)
    settings = _read(Settings, plain | {"kinds": kinds}, KEY)
    for name, least in {"levels": 1, "columns": 1, "tile": 0.0, "cell": 0.0, "step": 0.0, "start_levels": 1}.items():
        value = getattr(settings, name)
        if value <= 0:
            wanted = f"at least {least}" if least else "above 0"
            raise MyriadError(f"{KEY}.{name}={value} is invalid: it must be {wanted}.")
    if settings.start_levels > settings.levels:
        raise MyriadError(f"{KEY}.start_levels={settings.start_levels} is invalid: there are {settings.levels} levels.")
    if settings.after_last not in ("random", "first"):
        raise MyriadError(f"{KEY}.after_last={settings.after_last} is invalid: it must be random or first.")
    if sum(kind.share for kind in kinds.values()) <= 0.0:
        raise MyriadError(f"{KEY}.kinds have no share of the columns: one must be above 0.")
    return settings


def _read(cls: type, given: Mapping[str, Any], where: str) -> Any:
    """Return a dataclass made of settings, whose types are checked; one number stands for both ends of a ramp."""
    types = get_type_hints(cls)
    values = {}
    for name, value in given.items():
        if name not in types:
            raise MyriadError(f"{where}.{name} is no setting; they are: {', '.join(f.name for f in fields(cls))}.")
        default = next(f.default for f in fields(cls) if f.name == name)
        values[name] = value if default is MISSING else _typed(value, default, f"{where}.{name}")
    return cls(**values)


def _typed(value: Any, like: Any, where: str) -> Any:
    """Return a value as the type of a default one."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(like, tuple):
        if is_number:
            return float(value), float(value)
        if not isinstance(value, Sequence) or len(value) != 2 or not all(isinstance(v, (int, float)) for v in value):
            raise MyriadError(f"{where}={value} is invalid: it must be a number, or two: [easy, difficult].")
        return float(value[0]), float(value[1])
    fits = isinstance(value, type(like)) if isinstance(like, (bool, str)) else is_number
    if not fits or (isinstance(like, int) and not isinstance(like, bool) and value != int(value)):
        names = {bool: "True or False", str: "a word", int: "a whole number", float: "a number"}
        raise MyriadError(f"{where}={value} is invalid: it must be {names[type(like)]}.")
    return type(like)(value)


class Terrain:
    """The ground of a task: its heights, where episodes start on it, and look-ups.

    Args:
        given: The section `env.terrain` of the task's YAML.
        device: Where the tensors are.

    Attributes:
        settings: What the section says.
        kinds: The name of each column's kind.
        heights: All heights in m, (rows along x, rows along y); the first is `border` before the origin.
        origins: Middles of the tiles in m, (levels, columns, 3), as high as the highest ground within 1 m.

    Raises:
        MyriadError: If a setting is wrong.
    """

    def __init__(self, given: Mapping[str, Any], device: torch.device) -> None:
        self.settings = settings = read_settings(given)
        grid = Grid(round(settings.tile / settings.cell), settings.cell, settings.step)
        self.kinds = share_out({name: kind.share for name, kind in settings.kinds.items()}, settings.columns)
        self._border = grid.cells(settings.border)
        size, border = grid.size, self._border
        raw = np.zeros((settings.levels * size + 2 * border, settings.columns * size + 2 * border), np.int32)
        origins = np.zeros((settings.levels, settings.columns, 3), np.float32)
        near = grid.middle(2.0)
        for column, name in enumerate(self.kinds):
            for level in range(settings.levels):
                # Each tile draws for itself: it stays as it is whatever its neighbours are.
                random = np.random.default_rng((settings.seed, column, level))
                kind, difficulty = settings.kinds[name], level / settings.levels
                tile = kind.heights(grid, difficulty, random)
                if kind.noise:
                    tile = tile + _noise(grid, kind.noise, random)
                x, y = border + level * size, border + column * size
                raw[x : x + size, y : y + size] = tile
                centre = (level + 0.5) * settings.tile, (column + 0.5) * settings.tile
                origins[level, column] = *centre, tile[near, near].max() * settings.step
        self.heights = torch.from_numpy(raw).to(device).float() * settings.step
        self.origins = torch.from_numpy(origins).to(device)
        self._flat, self._width = self.heights.view(-1), self.heights.shape[1]
        self._last = torch.tensor(self.heights.shape, device=device) - 2

    def add_to(self, world: Engine) -> None:
        """Author the ground, for all environments of an engine."""
        settings = self.settings
        world.add_height_field(
            PRIM_PATH,
            self.heights.cpu().numpy(),
            settings.cell,
            (-self._border * settings.cell, -self._border * settings.cell),
            settings.wall_slope,
            settings.static_friction,
            settings.dynamic_friction,
            settings.restitution,
        )

    def heights_at(self, points: Tensor) -> Tensor:
        """Return the ground's heights in m, (...), at points (..., 2) in m: on the two triangles between four heights.

        Walls are where they are in the grid: a cell wide, and not vertical.
        """
        place = points / self.settings.cell + self._border
        corner = torch.minimum(place.floor().long().clamp_(min=0), self._last)
        u, v = (place - corner).clamp_(0.0, 1.0).unbind(-1)
        index = corner[..., 0] * self._width + corner[..., 1]
        low, high = self._flat[index], self._flat[index + self._width + 1]
        # A cell is cut from its first corner to the opposite one: a point is on the side of one of the other two.
        beside = torch.where(u > v, self._flat[index + self._width], self._flat[index + 1])
        more, less = torch.maximum(u, v), torch.minimum(u, v)
        return low + more * (beside - low) + less * (high - beside)

    def lower_at(self, points: Tensor) -> Tensor:
        """Return the lower one of two opposite heights around points, (..., 2) in m: OmniIsaacGymEnvs' look-up."""
        place = ((points + self._border * self.settings.cell) / self.settings.cell).long()
        corner = torch.minimum(place.clamp_(min=0), self._last)
        index = corner[..., 0] * self._width + corner[..., 1]
        return torch.minimum(self._flat[index], self._flat[index + self._width + 1])

    def scan(self, positions: Tensor, orientations: Tensor, points: Tensor) -> Tensor:
        """Return the heights around robots in m, (N, K), by `lower_at`.

        Args:
            positions: Of the robots in m, (N, 3).
            orientations: Of the robots as wxyz, (N, 4), of which the part about the vertical counts.
            points: Where to look in m, ahead and to the left of a robot, (K, 2).
        """
        w, z = orientations[:, 0], orientations[:, 3]
        length = (w.square() + z.square()).clamp(min=1e-12)
        cosine, sine = (w.square() - z.square()) / length, 2.0 * w * z / length
        x = cosine.unsqueeze(-1) * points[:, 0] - sine.unsqueeze(-1) * points[:, 1]
        y = sine.unsqueeze(-1) * points[:, 0] + cosine.unsqueeze(-1) * points[:, 1]
        return self.lower_at(torch.stack((x, y), dim=-1) + positions[:, None, :2])


def share_out(shares: Mapping[str, float], columns: int) -> list[str]:
    """Return whose each column is: the i-th of n belongs to who has the part i / n of all shares, in their order."""
    names, ends = list(shares), np.cumsum(list(shares.values()))
    parts = np.arange(columns) / columns * ends[-1]
    return [names[i] for i in np.searchsorted(ends, parts + 1e-9, side="right")]


def grid_points(ahead: Sequence[float], aside: Sequence[float], device: torch.device) -> Tensor:
    """Return places around a robot, (K, 2) in m: each distance ahead with all of those to the left.

    Args:
        ahead: Distances ahead in m.
        aside: Distances to the left in m.
        device: Where the tensor is.
    """
    grid = torch.meshgrid(torch.tensor(ahead), torch.tensor(aside), indexing="ij")
    return torch.stack([part.flatten() for part in grid], dim=-1).float().to(device)
