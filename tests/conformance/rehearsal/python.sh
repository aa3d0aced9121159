#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# As Isaac Sim's: finds its own Python and packages, and makes a 1 of every failure.
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
PYTHONPATH=$here/site${PYTHONPATH:+:$PYTHONPATH} "$MYRIAD_REHEARSAL_PYTHON" "$@" || exit 1
