"""A store that takes 20 ms for every request and keeps nothing: what is measured is the client.

python -m bench.trainer_store     prints its address and serves on loopback until its input ends
"""

import hashlib
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DELAY = 0.02  # seconds


class _Store(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.close_connection = False
        digest = hashlib.md5(usedforsecurity=False)
        left = int(self.headers.get("Content-Length", 0))
        while left:
            some = self.rfile.read(min(left, 2**20))
            digest.update(some)
            left -= len(some)
        time.sleep(DELAY)
        self._answer(b"", ETag=f'"{digest.hexdigest()}"')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(DELAY)
        kind = (
            "InitiateMultipartUploadResult"
            if self.path.endswith("?uploads")
            else "CompleteMultipartUploadResult"
        )
        content = f'<{kind}><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId><ETag>"x-2"</ETag></{kind}>'
        self._answer(content.encode())

    def _answer(self, content: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Serve until whoever started this goes away."""
    server = _Server(("127.0.0.1", 0), _Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
