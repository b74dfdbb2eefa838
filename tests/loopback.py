"""A web server on this machine that serves files well, badly or not at all."""

import contextlib
import http.server
import os
import threading
import time
from unittest import mock

SLOWLY = 5.0  # seconds that `hang` keeps a client waiting


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``/MODE/NAME``: the content of NAME, in the way of MODE."""

    def do_GET(self):
        mode, name = self.path.strip("/").split("/")[-2:]
        content = self.server.content.get(name)
        asked = self.headers.get("Range", "")
        self.server.requests.append((mode, name, asked))
        if mode == "missing" or content is None:
            self.send_error(404)
            return
        if mode == "hang":
            self.server.stopping.wait(SLOWLY)
            return
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        if mode == "noranges":
            start = 0
        if start >= len(content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if mode == "corrupt":
            content = bytes(len(content))
        body = content[start:]
        self.send_response(206 if start else 200)
        if mode != "endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if mode == "cut":  # half of what is left, then the line is dead
            body = body[: len(body) // 2]
        if mode == "stall":
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.server.stopping.wait(SLOWLY)
            return
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)
            while mode == "endless" and not self.server.stopping.is_set():
                self.wfile.write(bytes(1 << 16))
                time.sleep(0.001)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(content):
    """Serve a dict of names and bytes; yield the server, whose `at` makes URLs."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        server.content, server.requests = content, []
        server.stopping = threading.Event()
        server.at = lambda mode, name: f"http://127.0.0.1:{server.server_port}/{mode}/{name}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            with mock.patch.dict(os.environ, {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}):
                yield server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()
