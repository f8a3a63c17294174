"""What can go wrong in a step, sorted by who can put it right: it decides the exit code."""

import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")


class TrainerError(Exception):
    """An error that is told in one sentence, without a traceback."""

    exit_code = 1


class WrongInput(TrainerError):
    """The user can put it right: data, parameters, rights, addresses. Trying again changes nothing."""

    exit_code = 2


class Unavailable(TrainerError):
    """Something outside does not answer. Trying again may help."""


def redacted(text: str) -> str:
    """Return `text` without the credentials of the environment and without users in URLs."""
    for name in _SECRET_VARIABLES:
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    return _USER_IN_URL.sub("***@", text)


def one_sentence(error: BaseException, limit: int = 500, copies: Mapping[Path, str] | None = None) -> str:
    """Return what `error` says on one line, redacted, at most `limit` characters long.

    Parameters
    ----------
    copies
        Folders that only this step knows, and the addresses of what they hold, which are named in their place.
    """
    text = " ".join(str(error).split())
    for folder, uri in (copies or {}).items():
        text = text.replace(str(folder), uri.rstrip("/"))
    if not isinstance(error, TrainerError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    text = redacted(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def nearest(name: str, known: Sequence[str], by: Callable[[str], str] = str) -> str:
    """Return "; did you mean …?" with the most alike of `known`, compared by a part of them, empty if none is alike."""
    lowered = {by(each).lower().replace("_", ""): each for each in known}
    found = difflib.get_close_matches(name.lower().replace("_", ""), lowered, n=1, cutoff=0.5)
    return f"; did you mean {lowered[found[0]]}?" if found else ""
