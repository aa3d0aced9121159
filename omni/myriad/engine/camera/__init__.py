# SPDX-License-Identifier: Apache-2.0
"""Cameras as sensors, without Isaac Sim: newton's ray tracer, fed with the poses of links, on the CPU or CUDA."""
