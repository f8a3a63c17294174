"""Starting what answers queries: the Prometheus of this machine where there is one, else the stand-in."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from sandbox.processes import ProcessStack

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


def of_this_machine() -> Path | None:
    """The program: `$PROMETHEUS` names it, else it is looked for on the PATH (Debian's package ``prometheus`` has one)."""
    found = os.environ.get("PROMETHEUS") or shutil.which("prometheus")
    return Path(found) if found else None


def start(stack: ProcessStack, folder: Path, targets_url: str, log: Path) -> str:
    """Start it, scraping every second what `targets_url` lists; where it answers.

    Raises
    ------
    ProcessError
        If it does not become ready.
    """
    program = of_this_machine()
    if program:
        return _start_real(stack, program, folder, targets_url, log)
    command: list[str | Path] = [sys.executable, "-m", "sandbox.prometheus", "--targets", targets_url]
    child = stack.start("prometheus", command, log, cwd=ROOT)
    return child.wait_for_line(r"Prometheus stand-in: (http://\S+)", START_SECONDS)[1]


def _start_real(stack: ProcessStack, program: Path, folder: Path, targets_url: str, log: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    file, address = folder / "prometheus.yml", f"127.0.0.1:{_free_port()}"
    file.write_text(yaml.safe_dump(configuration(targets_url)))
    command: list[str | Path] = [program, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    child = stack.start("prometheus", [*command, f"--web.listen-address={address}"], log)
    child.wait_until(lambda: _is_ready(f"http://{address}"), START_SECONDS)
    return f"http://{address}"


def configuration(targets_url: str) -> dict[str, object]:
    """Prometheus' own, for the pages that are listed there."""
    discovery = [{"url": targets_url, "refresh_interval": "1s"}]
    jobs = [{"job_name": "inferenceservices", "http_sd_configs": discovery}]
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=1.0) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
