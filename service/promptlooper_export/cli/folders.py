"""Where a dataset is: in a folder of this machine, or below an address."""

import hashlib
from pathlib import Path
from typing import IO, Protocol, TypedDict

from promptlooper_export.cli.addresses import Address, place_of
from promptlooper_export.cli.files import write_whole


class Entry(TypedDict):
    """What a manifest says of a file; `path` is relative to the dataset."""

    path: str
    experiment: str
    rows: int
    bytes: int
    sha256: str


class Folder(Protocol):
    """The files of a dataset by their paths; raises OSError or TargetError."""

    def read(self, path: str) -> bytes | None:
        """Return a small file; None if there is none."""

    def holds(self, entry: Entry, recorded: Entry | None) -> bool:
        """Return whether a file is as its entry says.

        `recorded` is the entry that it had when the dataset was last complete.
        """

    def write(self, path: str, body: IO[bytes], *, mode: int) -> None:
        """Write a file, whole or not at all; `mode` is for files of this machine."""

    def paths(self) -> list[str]:
        """Return the paths of all files in the dataset's folders."""

    def remove(self, path: str) -> None:
        """Remove a file, and folders that are empty then."""


def open_folder(output: str) -> Folder:
    """Return the folder, which need not be there yet. Raises OSError, TargetError."""
    place = place_of(output)
    return LocalFolder(place) if isinstance(place, Path) else AddressFolder(place)


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder

    def read(self, path: str) -> bytes | None:
        """Return a small file; None if there is none."""
        file = self._folder / path
        return file.read_bytes() if file.exists() else None

    def holds(self, entry: Entry, recorded: Entry | None) -> bool:
        """Return whether the file has the entry's digest, whatever was recorded.

        A run that was interrupted has left whole files that nothing records.
        """
        try:
            with (self._folder / entry["path"]).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
        except FileNotFoundError:
            return False
        return digest.hexdigest() == entry["sha256"]

    def write(self, path: str, body: IO[bytes], *, mode: int) -> None:
        """Write a file, whole or not at all, and the folders that it is in."""
        file = self._folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, body, mode=mode)

    def paths(self) -> list[str]:
        """Return the paths of all files in the dataset's folders."""
        return [
            file.relative_to(self._folder).as_posix()
            for pattern in ("experiment=*/*", "day=*/experiment=*/*")
            for file in self._folder.glob(pattern)
        ]

    def remove(self, path: str) -> None:
        """Remove a file, and folders that are empty then."""
        file = self._folder / path
        file.unlink()
        for parent in file.parents:
            if parent == self._folder or any(parent.iterdir()):
                break
            parent.rmdir()


class AddressFolder:
    """What is below an address, in a store of objects, which has no real folders."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._sizes = address.sizes()

    def read(self, path: str) -> bytes | None:
        """Return a small file; None if there is none."""
        return self._address.read(path) if path in self._sizes else None

    def holds(self, entry: Entry, recorded: Entry | None) -> bool:
        """Return whether the file was recorded like this, and has the entry's size.

        To compare its bytes would be to download it.
        """
        return recorded == entry and self._sizes.get(entry["path"]) == entry["bytes"]

    def write(self, path: str, body: IO[bytes], *, mode: int) -> None:
        """Write a file, whole or not at all."""
        self._address.write(body, path)

    def paths(self) -> list[str]:
        """Return the paths of all files below the address when it was opened."""
        return list(self._sizes)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._address.remove(path)
