# SPDX-License-Identifier: Apache-2.0
"""Pictures by hand-worked numbers: what is where, how far, which way it faces, and what it is called."""

import math

import pytest
import torch
from pxr import UsdGeom

from omni.myriad.engine import SimConfig, make_engine
from omni.myriad.errors import MyriadError
from omni.myriad.task.cameras import Lens, author_camera
from omni.myriad.task.rl_task import ASSETS_PATH

WIDTH, HEIGHT = 96, 64
FOCAL, APERTURE = 24.0, 20.955
ALL = ("rgb", "depth", "normals", "semantic_segmentation")
HALF_CART, POLE_AT = (0.1, 0.125), 0.12  # m along x and y; the pole stands that far behind the cart's middle


def lens(near=0.01, far=50.0):
    return Lens(FOCAL, APERTURE, (near, far))


class Scene:
    """Two environments with a cart, a floor and cameras."""

    def __init__(self, config, engine):
        from omni.myriad.engine import ArticulationView, CameraView

        self.engine = make_engine(SimConfig(config))
        stage = self.engine.stage
        robot = stage.DefinePrim("/World/envs/env_0/Cartpole")
        robot.GetReferences().AddReference(str(ASSETS_PATH / "cartpole" / "cartpole.usda"))
        UsdGeom.XformCommonAPI(UsdGeom.Xformable(robot)).SetTranslate((0.0, 0.0, 2.0))
        block = UsdGeom.Cube.Define(stage, "/World/envs/env_0/block")
        block.CreateSizeAttr(1.0)
        block.AddTranslateOp().Set((0.0, -8.0, 0.5))
        author_camera(stage, "Level", (-4.2, 0.0, 2.0), (0.0, 0.0, 2.0), lens())
        author_camera(stage, "Far", (-50.2, 0.0, 2.0), (0.0, 0.0, 2.0), lens())
        author_camera(stage, "Down", (10.0, 0.0, 5.0), (10.0, 0.0, 0.0), lens())
        author_camera(stage, "Block", (0.0, -8.0, 4.0), (0.0, -8.0, 0.0), lens())
        author_camera(stage, "Cartpole/cart/Aboard", (-1.0, 0.0, 0.0), (0.0, 0.0, 0.0), lens())
        self.engine.add_ground_plane()
        self.engine.clone_environments(2, 20.0)
        self.robots = self.engine.scene.add(ArticulationView("/World/envs/.*/Cartpole", name="robots"))
        for name in ("Level", "Far", "Down", "Block"):
            view = CameraView(f"/World/envs/.*/{name}", name, (WIDTH, HEIGHT), ALL)
            setattr(self, name.lower(), self.engine.scene.add(view))
        path = "/World/envs/.*/Cartpole/cart/Aboard"
        self.aboard = self.engine.scene.add(CameraView(path, "aboard", (WIDTH, HEIGHT), ALL))
        self.seldom = self.engine.scene.add(CameraView("/World/envs/.*/Level", "seldom", (WIDTH, HEIGHT), ALL, every=3))
        self.engine.reset()

    def put(self, carts, poles=(0.0, 0.0)):
        """Put cart and pole of each environment somewhere, along y and about x."""
        self.robots.set_joint_positions(torch.tensor([[carts[0], poles[0]], [carts[1], poles[1]]]))
        self.robots.set_joint_velocities(torch.zeros(2, 2))
        self.engine.update_kinematics()


@pytest.fixture(scope="module", params=["physx", "newton"])
def scene(request):
    from omni.myriad.app.config import load_config

    made = Scene(load_config(["sim_device=cpu", "task=Cartpole", "num_envs=2", f"engine={request.param}"]), request)
    yield made
    made.engine.close()


def label(view, name):
    labels = view.get_data("semantic_segmentation")[1]["idToLabels"]
    return next(int(number) for number, label in labels.items() if label["class"] == name)


def test_pictures_are_tensors_of_the_promised_shapes_and_types(scene):
    scene.put((0.0, 0.0))
    assert scene.level.count == 2 and scene.level.prim_paths[1] == "/World/envs/env_1/Level"
    assert scene.level.get_rgb().shape == (2, HEIGHT, WIDTH, 3) and scene.level.get_rgb().dtype == torch.uint8
    assert scene.level.get_depth().shape == (2, HEIGHT, WIDTH, 1) and scene.level.get_depth().dtype == torch.float32
    assert scene.level.get_data("normals")[0].shape == (2, HEIGHT, WIDTH, 4)
    segments, info = scene.level.get_data("semantic_segmentation")
    assert segments.shape == (2, HEIGHT, WIDTH, 1) and segments.dtype == torch.int32
    assert set(segments.unique().tolist()) <= {int(number) for number in info["idToLabels"]}
    assert scene.level.get_rgb_tiled().shape == (HEIGHT, 2 * WIDTH, 3)
    out = torch.zeros(2, HEIGHT, WIDTH, 1)
    assert scene.level.get_depth(out) is out and out.max() > 1.0


def test_the_floor_below_is_as_far_as_it_is(scene):
    depth = scene.down.get_depth()
    torch.testing.assert_close(depth, torch.full_like(depth, 5.0))
    normals = scene.down.get_data("normals")[0]
    torch.testing.assert_close(normals, torch.tensor([0.0, 0.0, 1.0, 0.0]).expand_as(normals))
    # Rays to the corners are longer: by what the lens makes of half a film less half a pixel.
    x, y = (0.5 - 0.5 / WIDTH) * APERTURE / FOCAL, (0.5 - 0.5 / HEIGHT) * APERTURE / FOCAL * HEIGHT / WIDTH
    along = scene.down.get_data("distance_to_camera")[0]
    assert along[0, 0, 0].item() == pytest.approx(5.0 * math.sqrt(1.0 + x * x + y * y), rel=1e-5)
    segments = scene.down.get_data("semantic_segmentation")[0]
    assert segments.unique().tolist() == [label(scene.down, "ground")]


def test_scenery_of_an_environment_is_seen_in_each(scene):
    depth = scene.block.get_depth()[:, HEIGHT // 2, WIDTH // 2, 0]
    torch.testing.assert_close(depth, torch.tensor([3.0, 3.0]))
    segments = scene.block.get_data("semantic_segmentation")[0][:, HEIGHT // 2, WIDTH // 2, 0]
    assert segments.tolist() == [label(scene.block, "scenery")] * 2


def columns(view, name, env):
    """Return the columns in the middle row in which something is seen: the first, and the one after the last."""
    row = view.get_data("semantic_segmentation")[0][env, HEIGHT // 2, :, 0] == label(view, name)
    seen = row.nonzero().flatten()
    return seen[0].item(), seen[-1].item() + 1


def test_each_environment_sees_its_own_cart_where_its_lens_puts_it(scene):
    scene.put((0.5, -1.2))
    ahead = 4.2 - HALF_CART[0]  # to the front of the cart
    for env, cart in enumerate((0.5, -1.2)):
        depth = scene.level.get_depth()[env, HEIGHT // 2, :, 0]
        pixels = WIDTH * FOCAL / APERTURE / ahead
        first, last = (WIDTH / 2 - pixels * (cart + side * HALF_CART[1]) for side in (1, -1))  # right is -y
        seen = columns(scene.level, "Cartpole/cart", env)
        # The side that faces the middle is seen behind the front, up to 0.2 m farther away.
        assert all(abs(got - want) < 1.0 + 1.2 * abs(cart) for got, want in zip(seen, (first, last), strict=True))
        assert depth[(seen[0] + seen[1]) // 2].item() == pytest.approx(ahead, abs=1e-3)
        normals = scene.level.get_data("normals")[0][env, HEIGHT // 2, (seen[0] + seen[1]) // 2]
        torch.testing.assert_close(normals, torch.tensor([-1.0, 0.0, 0.0, 0.0]), atol=1e-4, rtol=0)


def test_a_pole_that_leans_is_seen_leaning(scene):
    scene.put((0.0, 0.0), (0.0, 0.3))
    segments = scene.level.get_data("semantic_segmentation")[0][..., 0] == label(scene.level, "Cartpole/pole")
    rows = [segments[env].any(dim=1).nonzero().flatten()[2].item() for env in range(2)]  # near the top
    tops = [segments[env, rows[env]].nonzero().float().mean().item() + 0.5 for env in range(2)]
    height = [(HEIGHT / 2 - rows[env] - 0.5) for env in range(2)]  # above the cart's middle, in pixels
    assert tops[0] == pytest.approx(WIDTH / 2, abs=1.0)
    assert abs(tops[1] - WIDTH / 2) / height[1] == pytest.approx(math.tan(0.3), rel=0.15)


def test_what_is_beyond_the_clipping_range_is_infinitely_far(scene):
    scene.put((0.0, 0.0))
    assert scene.level.get_depth()[0, HEIGHT // 2, WIDTH // 2].item() == pytest.approx(4.1, abs=1e-3)
    assert scene.far.get_depth()[0, HEIGHT // 2, WIDTH // 2].item() == math.inf  # 50.1 m away


def test_a_camera_on_a_link_goes_with_it(scene):
    scene.put((0.7, -0.4))
    depth = scene.aboard.get_depth()[:, HEIGHT // 2, WIDTH // 2, 0]
    torch.testing.assert_close(depth, torch.tensor([0.9, 0.9]), atol=1e-4, rtol=0)
    positions, orientations = scene.aboard.get_world_poses()
    wanted = scene.engine.env_positions + torch.tensor([[-1.0, 0.7, 2.0], [-1.0, -0.4, 2.0]])
    torch.testing.assert_close(positions, wanted, atol=1e-4, rtol=0)
    torch.testing.assert_close(orientations.abs(), torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 2), atol=1e-4, rtol=0)


def test_cameras_move_and_zoom_one_by_one(scene):
    scene.put((0.0, 0.0))
    before, lengths = columns(scene.level, "Cartpole/cart", 0), scene.level.get_focal_lengths()
    assert lengths == pytest.approx([2.4, 2.4])  # cm, as Isaac Sim says them
    scene.level.set_focal_lengths([4.8], indices=[1])
    zoomed = columns(scene.level, "Cartpole/cart", 1)
    assert columns(scene.level, "Cartpole/cart", 0) == before
    assert zoomed[1] - zoomed[0] == pytest.approx(2 * (before[1] - before[0]), abs=2)
    scene.level.set_focal_lengths(lengths)
    positions, orientations = scene.level.get_local_poses()
    moved = positions + torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    scene.level.set_local_poses(moved, orientations)
    depth = scene.level.get_depth()[:, HEIGHT // 2, WIDTH // 2, 0]
    torch.testing.assert_close(depth, torch.tensor([4.1, 2.1]), atol=1e-3, rtol=0)
    scene.level.set_local_poses(positions, orientations)


def test_a_camera_goes_where_it_is_put_in_the_world(scene):
    scene.put((0.7, -0.4))
    home, target = scene.aboard.get_local_poses(), scene.engine.env_positions + torch.tensor([-2.1, 0.7, 2.0])
    turn = torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 2)
    scene.aboard.set_world_poses(target, turn)
    positions, orientations = scene.aboard.get_world_poses()
    torch.testing.assert_close(positions, target, atol=1e-4, rtol=0)
    torch.testing.assert_close(orientations.abs(), turn, atol=1e-4, rtol=0)
    assert scene.aboard.get_depth()[0, HEIGHT // 2, WIDTH // 2, 0].item() == pytest.approx(2.0, abs=1e-3)
    local = scene.aboard.get_local_poses()[0]  # in the cart's frame
    torch.testing.assert_close(local, torch.tensor([[-2.1, 0.0, 0.0], [-2.1, 1.1, 0.0]]), atol=1e-4, rtol=0)
    scene.aboard.set_local_poses(*home)


def test_a_slow_camera_keeps_its_picture(scene):
    seen = []
    for cart in (0.0, 0.3, 0.6, 0.9, 1.2):
        scene.put((cart, cart))
        seen.append(columns(scene.seldom, "Cartpole/cart", 0))
    assert seen[0] == seen[1] == seen[2] != seen[3] == seen[4]


def test_mistakes_are_said_in_one_line(scene):
    from omni.myriad.engine import CameraView

    with pytest.raises(MyriadError, match="cannot give 'smell'; choose from: rgb"):
        CameraView("/World/envs/.*/Level", output_annotators=["smell"])
    with pytest.raises(MyriadError, match="was not made to give 'rgb'"):
        scene.engine.scene.add(CameraView("/World/envs/.*/Level", "deep", (8, 8), ["depth"])).get_rgb()
    with pytest.raises(MyriadError, match="block is no Camera prim"):
        scene.engine.scene.add(CameraView("/World/envs/.*/block", "blind"))
    with pytest.raises(MyriadError, match="2 positive lengths are needed"):
        scene.level.set_focal_lengths([1.0])
    with pytest.raises(MyriadError, match="needs a name of its own"):
        author_camera(scene.engine.stage, "Level", (0, 0, 0), (1, 0, 0), lens())
    with pytest.raises(MyriadError, match="the far end beyond the near one"):
        author_camera(scene.engine.stage, "Odd", (0, 0, 0), (1, 0, 0), lens(near=3.0, far=2.0))


@pytest.fixture
def shading(scene):
    """Shade the scene by environment, and as newton does again afterwards."""
    views = (scene.level, scene.down, scene.block, scene.aboard)
    made = scene.engine.ray_tracer().shade()
    for view in views:
        view.prepare()
    yield made
    scene.engine.ray_tracer().shading = None
    for view in views:
        view.prepare()


def test_light_by_environment_is_newtons_light_until_it_is_changed(scene, request):
    scene.put((0.3, -0.4), (0.1, 0.2))
    before = {name: getattr(scene, name).get_rgb().clone().int() for name in ("level", "block", "aboard")}
    request.getfixturevalue("shading")
    for name, picture in before.items():
        assert (getattr(scene, name).get_rgb().int() - picture).abs().max() <= 2  # albedo is rounded on the way
        assert picture.flatten(0, 2).float().std(0).max() > 5.0  # there is something to be seen


def on_screens(linear):
    return round(255.0 * (1.055 * linear ** (1.0 / 2.4) - 0.055))


def test_each_environment_is_lit_from_where_its_sun_is(scene, shading):
    floor = scene.down.get_data("semantic_segmentation")[0][:, 0, 0, 0]
    assert floor.unique().tolist() == [label(scene.down, "ground")]
    albedo = [((colour + 0.055) / 1.055) ** 2.4 for colour in (0.62, 0.68, 0.76)]  # of the ground, from sRGB
    shading.suns[:] = torch.tensor([[0.0, 0.0, 0.5], [3.0, 0.0, -4.0]])  # half a sun above; one below the ground
    scene.put((0.0, 0.0))  # another moment, and so another picture
    pictures = scene.down.get_rgb()
    for env, sun in enumerate((0.5, 0.0)):
        light = [skylight + sun for skylight in (0.32, 0.34, 0.38)]  # all of it from above
        wanted = [on_screens(colour * bright) for colour, bright in zip(albedo, light, strict=True)]
        assert (pictures[env, 0, 0].int() - torch.tensor(wanted)).abs().max() <= 2


def test_textures_are_by_environment_and_shape_and_go_with_what_carries_them(scene, shading):
    scene.put((0.0, 0.0))
    cart = label(scene.aboard, "Cartpole/cart")
    on_cart = scene.aboard.get_data("semantic_segmentation")[0][..., 0] == cart
    plain = scene.aboard.get_rgb().clone()
    colliding = scene.engine.ray_tracer().bodies.index("Cartpole/cart")
    rows = [row for row, body in enumerate(shading._inputs[1].numpy()) if body == colliding]
    shading.waves[1, rows] = torch.tensor([[0.0, 20.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.25]])  # stripes, 2.5 cm each
    shading.paints[1, rows] = torch.tensor([0.5, 0.5, 0.5, 50.0])
    scene.put((0.0, 0.0))
    striped = scene.aboard.get_rgb().clone()
    changed = (striped.int() - plain.int()).abs().amax(-1) > 3
    assert not changed[0].any() and not changed[1][~on_cart[1]].any()
    assert changed[1][on_cart[1]].float().mean() > 0.8
    middle = striped[1, HEIGHT // 2, :, 0][on_cart[1, HEIGHT // 2]].int()
    edges = (middle.diff().abs() > 8).sum().item()
    assert 9 <= edges <= 11  # of 0.25 m, at 2.5 cm each
    scene.put((0.0, 1.51))  # 30.2 waves: the camera goes with the cart, and so do its stripes
    moved = scene.aboard.get_rgb()[1].int()
    assert (moved - striped[1].int()).abs()[on_cart[1]].float().mean() < 2.0
