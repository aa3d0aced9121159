# SPDX-License-Identifier: Apache-2.0
"""Start the node: ros2 launch myriad_policy policy.launch.py policy_file:=/path/to/policy.onnx."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node


def generate_launch_description() -> LaunchDescription:
    """Return the node with its two arguments."""
    parameters = {name: LaunchConfiguration(name) for name in ("policy_file", "use_sim_time")}
    return LaunchDescription(
        [
            DeclareLaunchArgument("policy_file", description="the exported .onnx file"),
            DeclareLaunchArgument("use_sim_time", default_value="false"),
            Node(package="myriad_policy", executable="policy_node", name="policy", parameters=[parameters]),
        ]
    )
