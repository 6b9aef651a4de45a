"""A small HTTP server in a thread, for tests that write their own handler."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """
    Serve on a free port of loopback until the block ends, one request at a time.

    :return: the server's URL.
    """
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            # Without it a failed test leaves the thread in accept(), and pytest never ends.
            server.shutdown()
            thread.join()
