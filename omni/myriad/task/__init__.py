# SPDX-License-Identifier: Apache-2.0
"""RLTask, and what tasks are made of: terms, maths; the loader that finds their files."""
