"""How much an archive may hold, and the count of what has come out of it so far."""

from dataclasses import dataclass

from trainer.errors import WrongInput


@dataclass(frozen=True)
class Limits:
    """Caps on one archive.

    Attributes
    ----------
    size
        Bytes that come out of it, a tar's headers included.
    entries
        Files and folders, those included that are only implied by a file's path.
    ratio
        Bytes out for each byte in. Deflate reaches 1032 at best, data sets rarely more than 20.
    ratio_from
        Bytes out before the ratio counts: a small archive of a blank picture harms nobody.
    depth
        Parts of a path.
    name_bytes, path_bytes
        Length in UTF-8 of one part, and of a whole path.
    header_bytes
        One extended header of a tar, read into memory.
    directory_bytes
        A zip's directory, read into memory.
    """

    size: int = 2**38
    entries: int = 2_000_000
    ratio: int = 200
    ratio_from: int = 64 * 2**20
    depth: int = 32
    name_bytes: int = 255
    path_bytes: int = 1024
    header_bytes: int = 2**20
    directory_bytes: int = 160 * 2**20


class Budget:
    """What is left of the limits while an archive is unpacked.

    Parameters
    ----------
    stored
        Bytes of the archive itself.
    """

    def __init__(self, archive: str, stored: int, limits: Limits) -> None:
        self.archive, self.limits = archive, limits
        self._stored, self._out, self._entries = stored, 0, 0

    def promised(self, size: int) -> None:
        """Refuse a file whose header promises more than may still come; raise `WrongInput`."""
        if size > self.limits.size - self._out:
            raise self._too_large()

    def spend(self, size: int) -> None:
        """Count bytes that came out; raise `WrongInput` when they are too many."""
        self._out += size
        if self._out > self.limits.size:
            raise self._too_large()
        if self._out > self.limits.ratio_from and self._out > self.limits.ratio * self._stored:
            raise WrongInput(
                f"{self.archive} grows to more than {self.limits.ratio} times its size, as no data set does;"
                " upload the files themselves"
            )

    def enter(self) -> None:
        """Count a file or a folder; raise `WrongInput` when they are too many."""
        self._entries += 1
        if self._entries > self.limits.entries:
            raise WrongInput(
                f"{self.archive} holds more than {self.limits.entries} files and folders;"
                " upload them without an archive"
            )

    def _too_large(self) -> WrongInput:
        return WrongInput(
            f"{self.archive} holds more than {self.limits.size} bytes; upload the files without an archive"
        )
