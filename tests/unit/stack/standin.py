"""A tiny program for the stack's tests: answers 200 on every path of a port, until SIGTERM.

`standin.py PORT [failing|chatty|stubborn|unready]`: `failing` ends at once with a message on stderr,
`chatty` writes one there, `stubborn` ignores SIGTERM, `unready` answers 503; given a path, it fails
as soon as there is a file.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(503 if "unready" in sys.argv else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        print(json.dumps({"message": format % args}), flush=True)


if "failing" in sys.argv or any(Path(word).is_file() for word in sys.argv[2:]):
    sys.exit("the disk of the moon is full")
if "chatty" in sys.argv:
    print("said aside", file=sys.stderr, flush=True)
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
