# SPDX-License-Identifier: Apache-2.0
"""Run a policy that Myriad exported on a robot that speaks ROS 2."""
