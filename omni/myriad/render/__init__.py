# SPDX-License-Identifier: Apache-2.0
"""Pictures without Isaac Sim, GPU or display: newton's ray-traced camera, fed with the poses of links."""
