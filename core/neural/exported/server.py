"""A small server for this model: python server.py [port] [address]

GET /health answers {"status": "ok"}. POST / with the bytes of a picture answers its label, probability, verdict and the
scores of all classes: curl --data-binary @picture.jpg http://localhost:8000/
It answers this computer alone; the address 0.0.0.0 lets others ask too.
"""

import io
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from core.neural.exported.predict import BAD_PICTURE, Model

MOST_BYTES = 20_000_000
MODEL = Model()
LOCK = threading.Lock()  # the model answers one picture at a time


class Handler(BaseHTTPRequestHandler):
    timeout = 30  # seconds for which a slow visitor may hold a thread

    def do_GET(self) -> None:
        if self.path == "/health":
            self.reply(200, {"status": "ok"})
        else:
            self.reply(404, {"error": f"there is nothing at {self.path}: send a picture with POST to /"})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.reply(411, {"error": f"a {self.command} must tell its length"})
            return
        if int(length) > MOST_BYTES:
            self.reply(413, {"error": f"the picture has more than {MOST_BYTES} bytes"})
            return
        data = self.rfile.read(int(length))
        try:
            with LOCK:
                found = MODEL.answer(io.BytesIO(data))
        except BAD_PICTURE:
            self.reply(422, {"error": f"these {length} bytes are no picture"})
            return
        self.reply(200, found)

    def reply(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    address = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    ThreadingHTTPServer((address, port), Handler).serve_forever()
