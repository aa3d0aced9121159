# SPDX-License-Identifier: Apache-2.0
"""Pictures show what is there, without GPU or display, and films are films."""

import resource

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from pxr import Sdf, Usd, UsdGeom

from omni.myriad.engine.shapes import Shape, robot_shapes
from omni.myriad.errors import MyriadError
from omni.myriad.render.camera import Camera
from omni.myriad.render.video import _drawn, film_robot, follow
from tests.engine.camera.test_looks_of_files import wear

RED = Shape("ball", "sphere", (0.5,), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.9, 0.1, 0.1))
UPRIGHT = np.array([[1.0, 0.0, 0.0, 0.0]])


def reddish(picture):
    red, green, blue = (picture[..., i].astype(int) for i in range(3))
    return (red > green + 60) & (red > blue + 60)


def test_a_ball_is_where_it_is_and_moves_with_its_link():
    camera = Camera(["ball"], [RED], width=96, height=64)
    eye, target = (0.0, -5.0, 1.5), (0.0, 0.0, 1.0)
    middle = camera.draw(np.array([[0.0, 0.0, 1.0]]), UPRIGHT, eye, target)
    assert middle.shape == (64, 96, 3) and middle.dtype == np.uint8
    rows, columns = np.nonzero(reddish(middle))
    # The ball of 0.5 m at 5.02 m is asin(0.5 / 5.02) to each side, in a picture of 38 degrees and 64 pixels.
    focal = 32.0 / np.tan(np.radians(19.0))
    radius = focal * np.tan(np.arcsin(0.5 / 5.025))
    assert np.ptp(columns) + 1 == pytest.approx(2 * radius, abs=2.0)
    assert columns.mean() == pytest.approx(47.5, abs=1.0) and rows.mean() == pytest.approx(31.5, abs=1.0)
    right = camera.draw(np.array([[1.0, 0.0, 1.0]]), UPRIGHT, eye, target)
    assert np.nonzero(reddish(right))[1].mean() == pytest.approx(47.5 + focal / 5.025, abs=1.5)
    sky, floor = middle[0].mean(axis=0), middle[-1]
    assert sky[2] > sky[0], "the sky is blue"
    assert np.ptp(floor.astype(int).sum(axis=1)) > 60, "the floor is chequered"


def test_on_uneven_ground_there_is_no_floor():
    points = np.array([[-9.0, -9.0, -1.0], [9.0, -9.0, -1.0], [9.0, 9.0, -1.0], [-9.0, 9.0, -1.0]], np.float32)
    corners = np.array([0, 1, 2, 0, 2, 3], np.int32)
    ground = Shape("", "mesh", (), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.1, 0.7, 0.1), points, corners)
    camera = Camera(["ball"], [RED, ground], width=96, height=64)
    # The ball is below z = 0, and seen from above.
    picture = camera.draw(np.array([[0.0, 0.0, -0.5]]), UPRIGHT, (0.0, -4.0, 3.0), (0.0, 0.0, -0.5))
    assert reddish(picture)[30:34, 46:50].all()
    corner = picture[-1, 0].astype(int)
    assert corner[1] > corner[0] + 20, "green"


def test_a_mesh_with_a_picture_has_its_display_colour(tmp_path):
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")
    corners = np.array([(0, -1, -1), (0, 1, -1), (0, 1, 1), (0, -1, 1)], np.float32)  # towards +x
    stage = Usd.Stage.CreateInMemory()
    mesh = UsdGeom.Mesh.Define(stage, "/World/envs/env_0/sign")
    mesh.CreatePointsAttr(corners)
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    mesh.CreateDisplayColorAttr([(0.0, 1.0, 0.0)])
    places = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    places.Set(corners[:, 1:] / 2 + 0.5)
    wear(stage, "/World/envs/env_0/sign", tmp_path / "red.png")
    (sign,) = robot_shapes(stage, ["sign"])
    assert sign.texture, "which cameras see"
    camera = Camera(["sign"], [sign], 32, 32)
    picture = camera.draw(np.array([[0, 0, 2]]), np.array([[1, 0, 0, 0]]), (3, 0, 2), (0, 0, 2))
    red, green, blue = picture[16, 16].tolist()
    assert green > 60 > 20 > max(red, blue)


def test_the_camera_stays_square_to_the_path_and_takes_no_rail_for_an_actor():
    path = [np.array([[0.0, 0.0, 2.0], [0.0, 0.05 * i, 2.0]]) for i in range(60)]
    rail = Shape("rail", "box", (0.01, 4.0, 0.01), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.5, 0.5, 0.5))
    cart = Shape("cart", "sphere", (0.5,), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.5, 0.5, 0.5))
    eyes, targets = follow(path, ["rail", "cart"], [rail, cart])
    distances = np.linalg.norm(np.array(eyes) - targets, axis=1)
    assert distances == pytest.approx(distances[0]) and distances[0] < 3.0, (
        "near the cart, not as far as the rail is long"
    )
    assert targets[30][1] == pytest.approx(1.5, abs=0.01), "no lag"
    assert abs(eyes[30][0] - targets[30][0]) > abs(eyes[30][1] - targets[30][1])


def rolling_ball(moments):
    """Return the stage of a red ball, and where it is at each moment."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.Xform.Define(stage, "/World/envs/env_0/ball")
    sphere = UsdGeom.Sphere.Define(stage, "/World/envs/env_0/ball/shape")
    sphere.CreateRadiusAttr(0.5)
    sphere.CreateDisplayColorAttr([(0.9, 0.1, 0.1)])
    return stage, [np.array([[0.02 * i, 0.0, 0.5]]) for i in range(moments)]


def test_a_film_has_its_length_and_shows_its_robot(tmp_path):
    stage, positions = rolling_ball(20)
    path = film_robot(stage, ["ball"], positions, [UPRIGHT] * 20, 1 / 60, tmp_path / "ball")
    assert path == tmp_path / "ball.mp4"
    assert list(tmp_path.iterdir()) == [path]
    frames = imageio_ffmpeg.read_frames(str(path))
    size = next(frames)["size"]
    pictures = [np.frombuffer(frame, np.uint8).reshape(size[1], size[0], 3) for frame in frames]
    assert len(pictures) == 6, "a third of a second"
    assert reddish(pictures[5]).mean() > 0.02
    assert np.abs(pictures[0].astype(int) - pictures[-1]).mean() > 1.0, "the floor passes by"


def test_pictures_that_several_threads_draw_are_those_of_one_in_their_order():
    _, positions = rolling_ball(6)
    frames = [(place, UPRIGHT, (3.0, -3.0, 1.5), (0.0, 0.0, 0.5)) for place in positions]
    alone, together = ([*_drawn([Camera(["ball"], [RED], 64, 48) for _ in range(n)], frames)] for n in (1, 3))
    assert len(alone) == len(together) == 6
    assert all(map(np.array_equal, alone, together))
    assert not np.array_equal(alone[0], alone[5]), "the ball moves"


def test_a_film_for_which_there_is_no_room_is_said_and_the_old_one_stays(tmp_path):
    old, limits = tmp_path / "ball.mp4", resource.getrlimit(resource.RLIMIT_FSIZE)
    old.write_bytes(b"old")
    stage, positions = rolling_ball(30)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))  # which writers meet as they do a full disk
    try:
        with pytest.raises(MyriadError, match=r"ball\.mp4 cannot be written: ") as caught:
            film_robot(stage, ["ball"], positions, [UPRIGHT] * 30, 1 / 60, tmp_path / "ball")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [old] and old.read_bytes() == b"old"


def test_nothing_to_film_is_said(tmp_path):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.Xform.Define(stage, "/World/envs/env_0/ghost")
    with pytest.raises(MyriadError, match="no visible shapes"):
        film_robot(stage, ["ghost"], [np.zeros((1, 3))], [UPRIGHT], 1 / 60, tmp_path / "ghost")
