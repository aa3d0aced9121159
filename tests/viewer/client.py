# SPDX-License-Identifier: Apache-2.0
"""A browser's place at a live page, taken by a few lines of Python: connects, says where its camera is, and reads.

As a program: `python tests/viewer/client.py http://127.0.0.1:8080 SECONDS` reads for so long, and says how much came.
"""

import sys
import time

import msgspec
import viser
from viser._messages import ViewerCameraMessage
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

CAMERA = ViewerCameraMessage(
    (1.0, 0.0, 0.0, 0.0), (2.0, 2.0, 2.0), 0.8, 0.01, 100.0, 600, 800, (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)
)


class Client:
    """One connection to the page at a port of this machine."""

    def __init__(self, port):
        protocol = Subprotocol(f"viser-v{viser.__version__}")
        self._socket = connect(f"ws://127.0.0.1:{port}", subprotocols=[protocol], max_size=None, compression=None)
        self._socket.send(msgspec.msgpack.encode(CAMERA.as_serializable_dict()))

    def read(self, seconds):
        """Return the bytes of each message that comes in so many seconds."""
        sizes, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                sizes.append(len(self._socket.recv(timeout=left)))
            except (TimeoutError, ConnectionClosed):
                break
        return sizes

    def close(self):
        self._socket.close()


if __name__ == "__main__":
    client = Client(int(sys.argv[1].rstrip("/").rsplit(":", 1)[1]))
    came = client.read(float(sys.argv[2]))
    print(f"{len(came)} messages, {sum(came) / 1e6:.1f} MB")
