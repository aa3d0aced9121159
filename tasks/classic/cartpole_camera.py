# SPDX-License-Identifier: Apache-2.0
"""CartpoleCamera: keep a pole upright by pushing the cart it stands on, from what a camera sees."""

from omni.myriad import CameraView, ImageTerm, Scene

from .cartpole import Cartpole


class CartpoleCamera(Cartpole):
    """OmniIsaacGymEnvs' CartpoleCamera: its camera, its reward, and nothing observed but the last pictures."""

    def set_up_scene(self, scene: Scene) -> None:
        """Add a camera that looks along the world's x axis at the rail."""
        env = self.task_config["env"]
        self.annotator, self.frames = env["cameraType"], env["frameStack"]
        self.resolution = (env["cameraWidth"], env["cameraHeight"])
        self.far = env["cameraFar"]
        self.add_camera("Camera", position=(-4.2, 0.0, 3.0), target=(0.0, 0.0, 2.55), clipping_range=(0.01, self.far))
        super().set_up_scene(scene)
        self.camera = scene.add(
            CameraView("/World/envs/.*/Camera", "camera", self.resolution, output_annotators=[self.annotator])
        )

    def observation_terms(self) -> list[ImageTerm]:  # type: ignore[override]
        """Say that the last pictures are observed: of one alone, nobody can tell how fast anything moves."""
        width, height = self.resolution
        if self.annotator == "depth":
            shape, channels = (height, width, 1), ("distance to the image plane",)
            far = self.far
            return [
                ImageTerm(
                    "camera", shape, "float32", "m", "env", "depth", channels, self.frames, (0.0, far), scale=1.0 / far
                )
            ]
        channels = ("red", "green", "blue")
        return [ImageTerm("camera", (height, width, 3), "uint8", "", "env", "rgb", channels, self.frames)]

    def get_observations(self) -> None:
        """Take a picture; where cart and pole are only the reward knows."""
        self.read_joints()
        self.observe({"camera": self.camera.get_data(self.annotator)[0]})
