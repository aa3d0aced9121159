# SPDX-License-Identifier: Apache-2.0
"""What a USD file says of its looks: a mesh wears its picture, and the sun stands where a DistantLight is."""

import pytest
import torch
from PIL import Image
from pxr import Gf, Sdf, UsdGeom, UsdLux, UsdShade

from omni.myriad.errors import MyriadError
from omni.myriad.task.cameras import Lens, author_camera
from omni.myriad.task.rl_task import ASSETS_PATH

SIZE = 32
RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)


def wear(stage, path, file):
    """Bind a mesh to a material whose colour is a picture."""
    material = UsdShade.Material.Define(stage, f"{path}_look")
    surface = UsdShade.Shader.Define(stage, f"{path}_look/surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    texture = UsdShade.Shader.Define(stage, f"{path}_look/texture")
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(Sdf.AssetPath(str(file)))
    out = texture.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(out)
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath(path)).Bind(material)


@pytest.fixture
def seen(engine_of):
    """See a square of 2 m from above, x upwards and y to the left, that wears a picture; the sun is a grey one."""

    def build(file, interpolation):
        from omni.myriad.engine import ArticulationView, CameraView

        engine = engine_of("task=Cartpole", "num_envs=2")
        stage = engine.stage
        robot = stage.DefinePrim("/World/envs/env_0/Cartpole")
        robot.GetReferences().AddReference(str(ASSETS_PATH / "cartpole" / "cartpole.usda"))
        mesh = UsdGeom.Mesh.Define(stage, "/World/envs/env_0/sign")
        mesh.CreatePointsAttr([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)])
        mesh.CreateFaceVertexCountsAttr([4])
        mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
        mesh.CreateDisplayColorAttr([(0.1, 0.1, 0.1)])  # which the picture replaces
        mesh.AddTranslateOp().Set((0.0, -8.0, 1.0))
        places = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, interpolation)
        places.Set([(0, 0), (1, 0), (1, 1), (0, 1)])
        wear(stage, "/World/envs/env_0/sign", file)
        UsdLux.DistantLight.Define(stage, "/World/noon").CreateColorAttr(Gf.Vec3f(0.5, 0.25, 0.5))  # straight down
        author_camera(stage, "Eye", (0.0, -8.0, 3.0), (0.0, -8.0, 0.0), Lens(20.0, 20.0, (0.01, 50.0)))
        engine.clone_environments(2, 20.0)
        engine.scene.add(ArticulationView("/World/envs/.*/Cartpole", name="robots"))
        camera = engine.scene.add(CameraView("/World/envs/.*/Eye", "eye", (SIZE, SIZE), ["rgb"]))
        engine.reset()
        return engine, camera

    return build


@pytest.mark.parametrize("interpolation", ["vertex", "faceVarying"])
def test_a_mesh_wears_its_picture_in_the_light_that_the_scene_has(seen, tmp_path, interpolation):
    picture = Image.new("RGB", (2, 2))
    for place, colour in {(0, 0): RED, (1, 0): GREEN, (0, 1): BLUE, (1, 1): GREY}.items():
        picture.putpixel(place, colour)  # (0, 0) is above, on the left: where u is little and v much
    picture.resize((64, 64), Image.Resampling.NEAREST).save(tmp_path / "four.png")
    engine, camera = seen(tmp_path / "four.png", interpolation)

    def check():
        low, high = SIZE // 4, 3 * SIZE // 4  # of 2 m each
        # Skylight and the sun on what looks up, as screens are told (sRGB): of 1, and of the 0.216 that 128 means.
        bright = [round(255 * (1.055 * light ** (1 / 2.4) - 0.055)) for light in (0.32 + 0.5, 0.34 + 0.25, 0.38 + 0.5)]
        grey = [round(255 * (1.055 * (0.2158 * light) ** (1 / 2.4) - 0.055)) for light in (0.82, 0.59, 0.88)]
        wanted = {
            (high, low): [bright[0], 0, 0], (low, low): [0, bright[1], 0],
            (high, high): [0, 0, bright[2]], (low, high): grey,
        }  # fmt: skip
        for env in range(2):
            for (row, column), colour in wanted.items():
                found = camera.get_rgb()[env, row, column].int()
                assert (found - torch.tensor(colour)).abs().max() <= 2, (
                    row,
                    column,
                    found,
                )

    check()
    engine.ray_tracer().shade()
    camera.prepare()
    check()  # with light by environment, too


@pytest.mark.filterwarnings("ignore:Failed to load texture")  # newton says it, too
def test_a_file_that_is_no_picture_is_said_in_one_line(seen, tmp_path):
    (tmp_path / "broken.png").write_text("no picture")
    _, camera = seen(tmp_path / "broken.png", "vertex")
    with pytest.raises(MyriadError, match=r"cannot draw this scene: .*broken\.png"):
        camera.get_rgb()
