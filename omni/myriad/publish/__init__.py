# SPDX-License-Identifier: Apache-2.0
"""Policies that ship: trained over seeds, played, exported, drawn and judged, and what they did written down."""
