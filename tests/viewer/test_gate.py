# SPDX-License-Identifier: Apache-2.0
"""Who does not know the token sees nothing of the page."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from omni.myriad.viewer.gate import Gate


class Inner(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the page, at " + self.path.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def gate():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Inner)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    opened = Gate("127.0.0.1", 0, server.server_address[1])
    yield opened
    opened.close()
    server.shutdown()


def get(gate, path="/", cookie=None):
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=10)
    connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.getheader("Set-Cookie"), answer.getheader("Location")


def test_the_token_opens_it_once_and_then_the_cookie_does(gate):
    for path, cookie in (
        ("/", None), ("/?token=", None), ("/?token=wrong", None), ("/", "myriad=wrong"), ("/", f"other={gate.token}"),
        ("/", f"myriad={gate.token[:-1]}"),
    ):  # fmt: skip
        status, body, _, _ = get(gate, path, cookie)
        assert status == 403 and b"the page" not in body, (path, cookie)
    status, _, cookie, location = get(gate, f"/?token={gate.token}")
    assert cookie and (status, location) == (303, "/") and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert get(gate, "/x", "a=b; " + cookie.split(";")[0])[:2] == (200, b"the page, at /x")


def test_each_gate_has_a_token_of_its_own(gate):
    other = Gate("127.0.0.1", 0, 1)
    assert other.token != gate.token and len(other.token) >= 32
    other.close()
