"""A link that signs one browser in, once, to a server that its user has just started.

Only `demo` and `open` make one, for a server that listens on loopback. Without one,
there is no such link.
"""

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

MINUTES = 10
"""How long the link can be used."""

_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """Where the link leads, and the token that it gives.

    `experiment` is the one whose report is shown; None shows the list. `token_file`
    holds the token, for commands. `unused` is a file that is there until the link is
    used, so that all worker processes know.
    """

    code: str = field(repr=False)
    token: str = field(repr=False)
    token_file: Path
    unused: Path
    experiment: UUID | None
    expires_at: float
    """A reading of the monotonic clock."""

    def has(self, code: str) -> bool:
        """Return whether this is the code of the link."""
        return secrets.compare_digest(code.encode(), self.code.encode())

    def use(self) -> bool:
        """Return whether the link is used in time and for the first time."""
        if time.monotonic() >= self.expires_at:
            return False
        try:
            # Of several processes, only one can remove it.
            self.unused.unlink()
        except FileNotFoundError:
            return False
        return True


def invite(folder: Path, token: str, *, experiment: UUID | None) -> Invitation:
    """Make an invitation, with its files in a folder that only this user can read."""
    token_file, unused = folder / "token", folder / "sign-in-link-unused"
    token_file.write_text(token)
    unused.touch()
    return Invitation(
        code=secrets.token_urlsafe(_BYTES),
        token=token,
        token_file=token_file,
        unused=unused,
        experiment=experiment,
        expires_at=time.monotonic() + 60 * MINUTES,
    )
