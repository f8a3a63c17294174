"""Versions that lie where export put them: is one there already, and is its model what the result beside it says?"""

import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from trainer import result
from trainer.errors import WrongInput
from trainer.storage import PARALLEL, Place, place, sha256

FOLDER = "model/"
"""Where a version's models lie below its prefix."""


def already_there(target: Place, name: str, same: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Tell whether a file that is written once lies at `target`, and says the `same`.

    Raises
    ------
    WrongInput
        If another one lies there.
    """
    content = target.read(name)
    if content is None:
        return False
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if isinstance(found, dict) and same(found):
        return True
    raise WrongInput(f"{target.uri} already holds another {name}; it is written once: use a new prefix")


def fetched(uri: str, folder: Path) -> Path:
    """Copy the model below `uri` (…/model/, which holds one folder with a number for a name) and return its folder.

    Raises
    ------
    WrongInput
        If there is none, or several.
    """
    source = place(uri)
    objects = source.objects()
    versions = {each.key.split("/")[0] for each in objects if each.key.endswith("/saved_model.pb")}
    if len(versions) != 1 or not (version := versions.pop()).isdigit():
        raise WrongInput(
            f"{uri} holds no folder with a number for a name and a saved_model.pb in it, or several"
        )
    source.download([each for each in objects if each.key.startswith(f"{version}/")], folder)
    return folder / version


def checked(uri: str, folder: Path, digest: str | None = None) -> tuple[Path, Mapping[str, Any]]:
    """Copy the model below `uri`, hold it to the result beside it, and return its folder and that result.

    Parameters
    ----------
    digest
        SHA-256 that the result file must have, in hexadecimal; None: any.

    Raises
    ------
    WrongInput
        If it is not the version that its result describes ("ModelChanged: …").
    """
    told = _result(uri, digest)
    model = fetched(uri, folder)
    files = {
        f"{FOLDER}{path.relative_to(folder).as_posix()}": path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = dict(zip(files, pool.map(sha256, files.values()), strict=True))
    wanted = {str(each["key"]): str(each["sha256"]) for each in told["manifest"]}
    changed = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
    if changed:
        what = "is missing" if changed[0] not in found else "is not what its result lists"
        raise WrongInput(f"ModelChanged: {uri}: {changed[0]} {what}; train the version again")
    return model, told


def _result(uri: str, digest: str | None) -> Mapping[str, Any]:
    above = uri.rstrip("/").rpartition("/")[0] + "/"
    if not uri.rstrip("/").endswith(f"/{FOLDER.rstrip('/')}"):
        raise WrongInput(f"{uri} does not end in /{FOLDER}; give the folder that export wrote the model into")
    content = place(above).read(result.NAME)
    if content is None:
        raise WrongInput(f"ModelChanged: {above} holds no {result.NAME}; train the version again")
    if digest and hashlib.sha256(content).hexdigest() != digest:
        raise WrongInput(f"ModelChanged: {above}{result.NAME} is not the one that was judged")
    try:
        told = json.loads(content)
        assert isinstance(told, dict)
        assert all({"key", "sha256"} <= each.keys() for each in told["manifest"])
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise WrongInput(f"{above}{result.NAME} is no result file; train the version again") from error
    return told
