# SPDX-License-Identifier: Apache-2.0
"""Build the ROS 2 package: colcon build --packages-select myriad_policy."""

from setuptools import setup

NAME = "myriad_policy"

setup(
    name=NAME,
    version="0.1.0",
    packages=[NAME],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", ["launch/policy.launch.py"]),
    ],
    install_requires=["setuptools", "numpy", "onnxruntime>=1.20"],
    zip_safe=True,
    maintainer="Myriad",
    description="Runs a policy that Myriad exported: joint states and IMU in, joint commands out.",
    license="Apache-2.0",
    entry_points={"console_scripts": [f"policy_node = {NAME}.node:main"]},
)
