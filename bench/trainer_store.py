"""A store that takes 20 ms for every request and keeps nothing: what is measured is the client.

python -m bench.trainer_store     prints its address and serves on loopback until its input ends

What is sent to it is thrown away. An object of the name ones-N is N bytes of the value 1, and N.tar is a tar archive of
one file of N zero bytes; nothing else is there.
"""

import hashlib
import re
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

DELAY = 0.02  # seconds
_ONES, _TAR = re.compile(r"(?:.*/)?ones-(\d+)"), re.compile(r"(?:.*/)?(\d+)\.tar")
_SOME = 2**20


class _Object:
    """An object that is made as it is read: a head, then one value."""

    def __init__(self, key: str) -> None:
        ones, tar = _ONES.fullmatch(key), _TAR.fullmatch(key)
        found = ones or tar
        if not found:
            raise KeyError(key)
        self.head, self._some = b"", (b"\1" if ones else b"\0") * _SOME
        self.size = int(found[1])
        if tar:
            info = tarfile.TarInfo("train/zeros")
            info.size = self.size
            self.head = info.tobuf()
            blocks = -(-self.size // tarfile.BLOCKSIZE) + 3  # the header, and two empty blocks at the end
            self.size = blocks * tarfile.BLOCKSIZE

    def pieces(self, first: int, last: int) -> Iterator[bytes]:
        head = self.head[first : last + 1]
        yield head
        left = last + 1 - first - len(head)
        while left > 0:
            yield self._some[:left]
            left -= _SOME


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

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        time.sleep(DELAY)
        if query := parse_qs(asked.query):
            return self._list(query.get("prefix", [""])[0])
        return self._object(unquote(asked.path).split("/", 2)[2], with_content=True)

    def do_HEAD(self) -> None:
        time.sleep(DELAY)
        self._object(unquote(urlsplit(self.path).path).split("/", 2)[2], with_content=False)

    def _list(self, prefix: str) -> None:
        try:
            found = (
                f"<Contents><Key>{prefix}</Key><Size>{_Object(prefix).size}</Size><ETag>x</ETag></Contents>"
            )
        except KeyError:
            found = ""
        content = f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
        self._answer(content.encode())

    def _object(self, key: str, with_content: bool) -> None:
        found = _Object(key)
        first, last = 0, found.size - 1
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(asked[1]), min(int(asked[2] or last), last)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{found.size}")
        else:
            self.send_response(200)
        for name, value in {"ETag": '"x"', "Content-Length": str(last + 1 - first)}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_content:
            for piece in found.pieces(first, last):
                self.wfile.write(piece)

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

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that runs out of memory, as controls do, hangs up; that is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def main() -> None:
    """Serve until whoever started this goes away."""
    server = _Server(("127.0.0.1", 0), _Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
