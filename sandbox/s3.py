"""An S3 server on loopback for one pair of keys: moto's, behind a check of who asks (`sandbox.signatures`).

`python -m sandbox.s3 --port 0` takes the keys from TAS_S3_ACCESS_KEY and TAS_S3_SECRET_KEY and writes one
line, `S3 http://127.0.0.1:PORT`, once it listens. Objects are kept in memory, and gone with it.

moto believes every caller. Real stores do not, and wrong credentials are among the first things that go wrong
for users, so here they go wrong as they do there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.processes import ProcessStack
from sandbox.session import ended_once

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

ACCESS_KEY_VARIABLE = "TAS_S3_ACCESS_KEY"
SECRET_KEY_VARIABLE = "TAS_S3_SECRET_KEY"
START_SECONDS = 60.0


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes
    ----------
    url
        Its endpoint, for path-style addressing.
    """

    url: str
    _stack: ProcessStack = field(repr=False)

    def check(self) -> None:
        """Raise ProcessError if it has ended."""
        self._stack.check()

    @classmethod
    @contextlib.contextmanager
    def started(
        cls, access_key: str, secret_key: str, *, port: int = 0, log: Path | None = None
    ) -> Iterator[S3Server]:
        """Run a server in a process of its own, and stop it at the end of the `with` block.

        Parameters
        ----------
        port
            A free one if 0.
        log
            What it writes; thrown away if None.

        Raises
        ------
        ProcessError
            If it does not start, with the tail of its log.
        """
        environment = {**os.environ, ACCESS_KEY_VARIABLE: access_key, SECRET_KEY_VARIABLE: secret_key}
        command = [sys.executable, "-m", "sandbox.s3", "--port", str(port)]
        root = Path(__file__).parents[1]
        with tempfile.TemporaryDirectory(prefix="trainandserve-s3-") as scratch, ProcessStack() as stack:
            child = stack.start("s3", command, log or Path(scratch, "s3.log"), env=environment, cwd=root)
            yield cls(child.wait_for_line(r"S3 (http://\S+)", START_SECONDS)[1], stack)


def listening(access_key: str, secret_key: str, port: int) -> BaseWSGIServer:
    """A server that listens, and serves once `serve_forever` is called."""
    from botocore.credentials import Credentials
    from moto.moto_server.werkzeug_app import create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    from sandbox.signatures import SignatureCheck

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps connections open

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass  # presigned URLs do not belong in logs

    application = SignatureCheck(create_backend_app("s3"), Credentials(access_key, secret_key))
    return make_server("127.0.0.1", port, application, threaded=True, request_handler=Handler)


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; 2 if there are no keys."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.s3", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="any free one by default")
    options = parser.parse_args(arguments)
    access_key, secret_key = os.environ.get(ACCESS_KEY_VARIABLE), os.environ.get(SECRET_KEY_VARIABLE)
    if not access_key or not secret_key:
        print(
            f"Set {ACCESS_KEY_VARIABLE} and {SECRET_KEY_VARIABLE}: the only keys to be let in.",
            file=sys.stderr,
        )
        return 2
    with ended_once(), contextlib.suppress(KeyboardInterrupt):
        server = listening(access_key, secret_key, options.port)
        print(f"S3 http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
