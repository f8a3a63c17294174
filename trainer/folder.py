"""A folder of data whose files are named as whoever brought them knows them: by where they were downloaded from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer import output

RECORD = ".data.json"
ARCHIVES = ".archives.json"


@dataclass(frozen=True)
class File:
    """One file: where it lies, and, as a text, how to name it to its owner."""

    path: Path
    told: str

    def __str__(self) -> str:
        return self.told


@dataclass(frozen=True)
class Folder:
    """Files below `path`. As a text it is where they came from.

    Attributes
    ----------
    uri
        What the download step was given; where other means filled the folder, the folder itself.
    objects
        How many objects lay there; 0: not known.
    archives
        Keys of the archives among them, by the folders that they were unpacked to. In a file of their own: there may
        be thousands, and the record becomes part of a version's result.
    """

    path: Path
    uri: str
    objects: int = 0
    archives: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path) -> "Folder":
        """Return a folder as the download step left it, or any other.

        Raises
        ------
        WrongInput
            If the step's record cannot be read.
        """
        found = output.record(path, RECORD)
        if not isinstance(found.get("uri"), str):
            return cls(path, str(path))
        return cls(path, found["uri"], found.get("objects", 0), output.record(path, ARCHIVES))

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def file(self, name: str) -> File:
        """Return the file of this name, parts separated by "/"."""
        return File(self.path / name, self.told(name))

    def told(self, name: str) -> str:
        """Return how to name a file to its owner: its address, or the one of the archive that it was in."""
        above = name
        while self.archives and (above := above.rpartition("/")[0]):
            if above in self.archives:
                archive = address(self.uri, self.archives[above], self.objects)
                return f"{name[len(above) + 1 :]} in {archive}"
        return address(self.uri, name, self.objects)


def address(uri: str, key: str, objects: int) -> str:
    """Return the address of an object, by its key relative to `uri`, which may be its own: then it is the only one."""
    if objects == 1 and uri.rpartition("/")[2] == key:
        return uri
    return f"{uri.removesuffix('/')}/{key}"
