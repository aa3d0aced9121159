# SPDX-License-Identifier: Apache-2.0
"""The extension's window in Isaac Sim.

`model` is what the window does and `drive` who steps physics for it; both run anywhere. `window` and `extension` are
the thin layer above, the only ones that know omni.ui and Kit, which imports `extension`.
"""
