"""`predict`: a file becomes instances, and the model server is found by whatever way leads there."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.unit.builders import a_situation
from tests.unit.cli.standing import Shell, body
from tests.unit.http_servers import Quiet, serving
from trainandserve.cli.errors import WrongInput
from trainandserve.cli.pictures import instances, parse_shape, shape_of
from trainandserve.cli.predicting import likeliest

SERVICE = "/api/v1/namespaces/vision/services/http:mnist-predictor:80/proxy/v1/models/mnist"
PROBABILITIES = [0.05, 0.05, 0.9]


def metadata(*sizes: int) -> dict[str, Any]:
    """As TensorFlow Serving says it."""
    shape = {"dim": [{"size": str(size), "name": ""} for size in sizes], "unknown_rank": False}
    signature = {"inputs": {"instances": {"dtype": "DT_FLOAT", "tensor_shape": shape}}}
    return {"metadata": {"signature_def": {"signature_def": {"serving_default": signature}}}}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Two rows of three gray pixels."""
    file = tmp_path / "image.png"
    picture = Image.new("L", (3, 2))
    picture.putdata([0, 128, 255, 1, 2, 3])
    picture.save(file)
    return file


class ModelServer(ThreadingHTTPServer):
    """Says what it takes and always answers the same; remembers what it was sent."""

    def __init__(self, shape: tuple[int, ...] | None, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.shape, self.status = shape, status
        self.sent: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Asked(Quiet):
    server: ModelServer

    def do_GET(self) -> None:
        shape = self.server.shape
        self._answer(200 if shape else 404, metadata(*shape) if shape else {"error": "not found"})

    def do_POST(self) -> None:
        self.server.sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(self.server.status, {"predictions": [PROBABILITIES]})

    def _answer(self, status: int, found: Any) -> None:
        content = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ModelServer((-1, 2, 3, 1))) as made:
        yield made


def served_at(shell: Shell, url: str) -> None:
    shell.cluster.bodies["mnist"]["status"]["served"]["url"] = url


def closed_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def test_the_address_in_the_status_is_asked_and_the_likeliest_classes_come_first(
    shell: Shell, server: ModelServer, image: Path
) -> None:
    served_at(shell, server.url)
    answer = shell("predict", "mnist", "-f", str(image), "--top", "2")
    assert answer.code == 0
    assert server.sent == [{"instances": [[[[0], [128], [255]], [[1], [2], [3]]]]}]
    assert [line.split() for line in answer.out.splitlines()[2:]] == [["0", "2", "90.00%"], ["0", "5.00%"]]
    assert f"version 2 answered, by {server.url}" in answer.err


def test_an_image_is_made_to_fit_what_the_model_server_takes(
    shell: Shell, server: ModelServer, image: Path
) -> None:
    server.shape = (-1, 4, 4, 3)
    served_at(shell, server.url)
    assert json.loads(shell("predict", "mnist", "-f", str(image), "-o", "json").out)["predictions"] == [
        PROBABILITIES
    ]
    sent = server.sent[0]["instances"][0]
    assert len(sent) == len(sent[0]) == 4 and len(sent[0][0]) == 3


def test_a_server_that_does_not_say_what_it_takes_gets_the_image_as_it_is_or_as_told(
    shell: Shell, server: ModelServer, image: Path
) -> None:
    server.shape = None
    served_at(shell, server.url)
    assert shell("predict", "mnist", "-f", str(image)).code == 0
    assert shell("predict", "mnist", "-f", str(image), "--shape", "1x1x3").code == 0
    as_it_is, as_told = (sent["instances"][0] for sent in server.sent)
    assert (len(as_it_is), len(as_it_is[0])) == (2, 3)
    assert (len(as_told), len(as_told[0]), len(as_told[0][0])) == (1, 1, 3)


def test_where_the_address_cannot_be_reached_the_api_server_passes_it_on(shell: Shell, image: Path) -> None:
    served_at(shell, closed_port())
    shell.cluster.proxied[f"{SERVICE}/metadata"] = lambda body: metadata(-1, 2, 3, 1)
    shell.cluster.proxied[f"{SERVICE}:predict"] = lambda body: {"predictions": [PROBABILITIES]}
    answer = shell("predict", "mnist", "-f", str(image))
    assert answer.code == 0 and "the API server's way to the Service" in answer.err


def test_a_ready_pod_is_the_last_way(shell: Shell, image: Path) -> None:
    served_at(shell, closed_port())
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    pods = [{"metadata": {"name": "old"}, "status": {}}, {"metadata": {"name": "new"}, "status": ready}]
    shell.cluster.others["/api/v1/namespaces/vision/pods", "serving.kserve.io/inferenceservice=mnist"] = pods
    base = "/api/v1/namespaces/vision/pods/http:new:8080/proxy/v1/models/mnist"
    shell.cluster.proxied[f"{base}/metadata"] = lambda body: metadata(-1, 2, 3, 1)
    shell.cluster.proxied[f"{base}:predict"] = lambda body: {"predictions": [PROBABILITIES]}
    answer = shell("predict", "mnist", "-f", str(image))
    assert answer.code == 0 and "pod new" in answer.err


def test_an_address_that_was_given_is_the_only_way(shell: Shell, image: Path) -> None:
    shell.cluster.proxied[f"{SERVICE}:predict"] = lambda body: {"predictions": [PROBABILITIES]}
    answer = shell("predict", "mnist", "-f", str(image), "--url", closed_port())
    assert answer.code == 1 and "cannot be reached from here" in answer.err


def test_what_the_model_server_says_against_it_is_passed_on(
    shell: Shell, server: ModelServer, image: Path
) -> None:
    server.status = 400
    served_at(shell, server.url)
    answer = shell("predict", "mnist", "-f", str(image))
    assert answer.code == 1 and "answers 400" in answer.err


def test_without_a_version_that_serves_there_is_nothing_to_ask(shell: Shell, image: Path) -> None:
    shell.cluster.bodies["mnist"] = body(a_situation().after())
    assert shell("predict", "mnist", "-f", str(image)).code == 5


# --- Files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ['{"instances": [[1, 2]]}', "[[1, 2]]"])
def test_json_is_sent_as_it_is(tmp_path: Path, text: str) -> None:
    file = tmp_path / "instances.json"
    file.write_text(text)
    assert instances(file, (1, 1, 1)) == [[1, 2]]


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b'{"instances": []}', b'{"a": 1}', b"[1", b"\x89PNG\r\n\x1a\nno"]
)
def test_what_is_neither_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(WrongInput, match="file"):
        instances(file, None)


def test_a_colour_image_has_three_channels_and_a_jpeg_is_read(tmp_path: Path) -> None:
    file, content = tmp_path / "image.jpg", io.BytesIO()
    Image.new("RGB", (2, 1), (255, 0, 0)).save(content, "JPEG")
    file.write_bytes(content.getvalue())
    found = instances(file, None)[0]
    assert (len(found), len(found[0]), len(found[0][0])) == (1, 2, 3)
    assert found[0][0][0] > 200 > 50 > found[0][0][1]


@pytest.mark.parametrize(
    ("text", "shape"), [("28x28", (28, 28, None)), ("8x9x1", (8, 9, 1)), ("224x224x3", (224, 224, 3))]
)
def test_a_shape_is_height_width_channels(text: str, shape: tuple[int | None, ...]) -> None:
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "28", "0x1", "28x28x2", "axb", "1x2x3x4"])
def test_another_shape_is_refused(shell: Shell, image: Path, text: str) -> None:
    with pytest.raises(ValueError, match="height x width"):
        parse_shape(text)


def test_what_takes_no_image_has_no_shape() -> None:
    assert shape_of(metadata(-1, 28, 28, 1)) == (28, 28, 1)
    assert shape_of(metadata(-1, -1, -1, 3)) == (None, None, 3)
    assert shape_of(metadata(-1, 13)) is None
    assert shape_of({"error": "no"}) is None


def test_only_numbers_are_ranked() -> None:
    assert likeliest([0.1, 0.7, 0.2], 2) == [(1, 0.7), (2, 0.2)]
    assert likeliest({"class": 1}, 2) is None
    assert likeliest(["a"], 2) is None
    assert likeliest([True], 2) is None
