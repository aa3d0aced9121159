# SPDX-License-Identifier: Apache-2.0
"""Policies leave the simulator: export to ONNX with proof and metadata, and a runtime that needs numpy and onnxruntime.

Nothing is imported here, so that `omni.myriad.policy.runtime` stays light.
"""
