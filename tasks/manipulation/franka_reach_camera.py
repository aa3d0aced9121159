# SPDX-License-Identifier: Apache-2.0
"""FrankaReachCamera: a Panda arm brings its hand to a ball that it sees."""

import torch

from omni.myriad import CameraView, ImageTerm, ObservationTerm, Scene

from .franka_reach import FrankaReach


class FrankaReachCamera(FrankaReach):
    """FrankaReach whose target nobody says: joints are measured, and a camera beside the arm sees hand and ball."""

    def set_up_scene(self, scene: Scene) -> None:
        """Add a camera that has the arm's reach in view."""
        env = self.task_config["env"]
        size = (env["cameraWidth"], env["cameraHeight"])
        self.add_camera("Camera", position=(1.7, 1.0, 1.2), target=(0.1, 0.0, 0.45), clipping_range=(0.05, 10.0))
        super().set_up_scene(scene)
        self.camera = scene.add(CameraView("/World/envs/.*/Camera", "camera", size, output_annotators=["rgb"]))

    def observation_terms(self) -> list[ObservationTerm | ImageTerm]:  # type: ignore[override]
        """Say that joints are measured, and the rest is seen."""
        positions, velocities, *_ = super().observation_terms()
        width, height = self.camera.get_resolutions()
        picture = ImageTerm("camera", (height, width, 3), source="rgb", channels=("red", "green", "blue"))
        return [positions, velocities, picture]

    def commands(self) -> dict[str, torch.Tensor]:
        """Return nothing: the ball says where to go."""
        return {}

    def quantities(self) -> dict[str, torch.Tensor]:
        """Return the joints, and a picture."""
        measured = super().quantities()
        joints = {name: measured[name] for name in ("joint_positions", "joint_velocities")}
        return joints | {"camera": self.camera.get_rgb()}
