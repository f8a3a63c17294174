"""Which names an archive's entries may have, and that no two of them mean the same place."""

import re
import unicodedata

from trainer.archives.limits import Budget, Limits
from trainer.errors import WrongInput

_DRIVE = re.compile(r"^[A-Za-z]:")
_JOINERS = (
    "\u200c\u200d"  # of Persian and Indic words, and of emoji; all other format characters only disguise
)
_DISGUISED = str.maketrans("", "", _JOINERS)


def parts(name: str, archive: str, limits: Limits) -> tuple[str, ...]:
    """Return the parts of an entry's path, without "." and without empty ones.

    Raises
    ------
    WrongInput
        If it could lead anywhere but below the folder that is unpacked to, on any system; or is too long or
        too deep.
    """
    if why := _wrong(name, limits):
        raise WrongInput(f"{archive} holds an entry named {shown(name)}: {why}; pack it again without")
    found = tuple(part for part in name.split("/") if part not in ("", "."))
    if len(found) > limits.depth:
        raise WrongInput(f"{archive} holds {shown(name)}, deeper than {limits.depth} folders")
    return found


def shown(name: str) -> str:
    """Return a name as it can stand in a sentence: quoted, escaped, cut."""
    return ascii(name if len(name) <= 80 else name[:79] + "…")


def _wrong(name: str, limits: Limits) -> str | None:
    if name.startswith("/") or _DRIVE.match(name):
        return "an absolute path"
    if "\\" in name:
        return "a backslash"
    if ".." in name.split("/"):
        return "it leads out of its folder"
    if any(_is_control(character) for character in name):
        return "it has control characters, or is not UTF-8"
    if any(_is_disguise(part) for part in name.split("/")):
        return "characters that only look like a path"
    if len(name.encode()) > limits.path_bytes:
        return f"longer than {limits.path_bytes} bytes"
    if any(len(part.encode()) > limits.name_bytes for part in name.split("/")):
        return f"a part longer than {limits.name_bytes} bytes"
    return None


def _is_control(character: str) -> bool:
    # Cc: control, Cs: halves of characters, as bytes that are no UTF-8 arrive; Cf: invisible, some turn the
    # direction of writing round.
    if character.isascii():
        return not character.isprintable()
    category = unicodedata.category(character)
    return category in ("Cc", "Cs") or (category == "Cf" and character not in _JOINERS)


def _is_disguise(part: str) -> bool:
    # Some file systems and tools normalise names: "‥" (two dot leader) becomes "..", "／" becomes "/".
    if part.isascii():
        return False
    normal = unicodedata.normalize("NFKC", part.translate(_DISGUISED))
    return normal in (".", "..", "") or any(each in normal for each in "/\\\0")


class Claims:
    """The places that entries have taken so far, told apart as the least discerning file system would."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._taken: dict[str, str] = {}

    def claim(self, path: tuple[str, ...], folder: bool) -> None:
        """Take the place of a file or a folder and, as folders, of those above it.

        Raises
        ------
        WrongInput
            If a file is there already, or something whose name differs only in case or in how it is encoded.
        """
        self._above(path[:-1])
        self._one(path, folder)

    def _above(self, path: tuple[str, ...]) -> None:
        if path and self._taken.get(_folded(path)) != "/".join(path) + "/":
            self._above(path[:-1])
            self._one(path, folder=True)

    def _one(self, path: tuple[str, ...], folder: bool) -> None:
        exact, folded = "/".join(path) + ("/" if folder else ""), _folded(path)
        taken = self._taken.get(folded)
        if taken is None:
            self._budget.enter()
            self._taken[folded] = exact
        elif taken != exact or not folder:
            both = f"{shown(taken)} and {shown(exact)}" if taken != exact else f"{shown(exact)} twice"
            raise WrongInput(
                f"{self._budget.archive} holds {both}: one would overwrite the other; rename one"
            )


def _folded(path: tuple[str, ...]) -> str:
    whole = "/".join(path)
    if whole.isascii():
        return whole.lower()
    # Folding may undo the normal form and the other way round: both once more.
    folded = unicodedata.normalize("NFKC", whole.translate(_DISGUISED)).casefold()
    return unicodedata.normalize("NFKC", folded).casefold()
