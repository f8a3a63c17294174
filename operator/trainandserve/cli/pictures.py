"""What is sent to the model: images as arrays of pixels, JSON as it is. Pure but for reading the file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from .errors import WrongInput

Shape = tuple[int | None, int | None, int | None]
"""Height, width and channels that the model takes; None where it takes any."""

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_LARGEST = 64 * 1024 * 1024


def instances(file: Path, shape: Shape | None) -> list[Any]:
    """The V1 protocol's instances from a file.

    Parameters
    ----------
    shape
        What the model takes; None: not known, then an image is sent as large as it is, gray or in three colours.

    Raises
    ------
    WrongInput
        The file is no PNG, JPEG or JSON, or has no instances.
    """
    try:
        if file.stat().st_size > _LARGEST:
            raise WrongInput(f"{file} has more than {_LARGEST // 2**20} MiB")
        content = file.read_bytes()
    except OSError as error:
        raise WrongInput(f"{file}: {error.strerror}") from error
    if content.lstrip()[:1] in (b"{", b"["):
        return from_json(content, file)
    return [pixels(content, file, shape)]


def from_json(content: bytes, file: Path) -> list[Any]:
    """Instances: ``{"instances": [...]}`` as the protocol has it, or the list itself."""
    try:
        found = json.loads(content)
    except ValueError as error:
        raise WrongInput(f"{file} is no JSON: {error}") from error
    if isinstance(found, dict):
        found = found.get("instances")
    if not isinstance(found, list) or not found:
        raise WrongInput(f'{file}: write {{"instances": [...]}} or a list of instances')
    return found


def pixels(content: bytes, file: Path, shape: Shape | None) -> list[Any]:
    """An image as pixel values 0-255: height, width, channels."""
    import io

    from PIL import Image, UnidentifiedImageError

    height, width, channels = shape or (None, None, None)
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            gray = image.mode in ("1", "L", "LA", "I", "I;16")
            mode = _MODES.get(channels or (1 if gray else 3))
            if mode is None:
                raise WrongInput(f"the model takes {channels} channels: an image has 1, 3 or 4; send JSON")
            picture = image.convert(mode).resize((width or image.width, height or image.height))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise WrongInput(f"{file} is no PNG, JPEG or JSON: {error}") from error
    flat, depth = picture.tobytes(), len(mode)
    row = picture.width * depth
    return [
        [list(flat[at : at + depth]) for at in range(line, line + row, depth)]
        for line in range(0, row * picture.height, row)
    ]


def parse_shape(text: str) -> Shape:
    """Read ``28x28x1`` or ``28x28``.

    Raises
    ------
    ValueError
        It is neither.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})(?:x([134]))?", text)
    if match is None:
        raise ValueError(f"{text!r}: write height x width x channels, like 28x28x1 or 224x224x3")
    height, width, channels = match.groups()
    return int(height), int(width), int(channels) if channels else None


def shape_of(metadata: Any) -> Shape | None:
    """What TensorFlow Serving says that the model takes: the shape of the one input of ``serving_default``; None where it is no image."""
    try:
        signatures = metadata["metadata"]["signature_def"]["signature_def"]
        (given,) = signatures["serving_default"]["inputs"].values()
        sizes = [int(one["size"]) for one in given["tensor_shape"]["dim"]]
    except (KeyError, TypeError, ValueError):
        return None
    if len(sizes) != 4:
        return None
    height, width, channels = (None if size < 0 else size for size in sizes[1:])
    return height, width, channels
