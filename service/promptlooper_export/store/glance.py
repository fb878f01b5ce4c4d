"""What is kept of a database as it is at the moment, found without reading it.

A snapshot takes several statements. If nothing has changed since something was kept,
one is enough to know: the one that gives the token.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from promptlooper_export.store.experiments import may_see
from promptlooper_export.store.freshness import Kept, Token
from promptlooper_export.store.state import State
from promptlooper_export.viewer import Viewer

STATE_IS_INSIDE = "state is inside"
"""The key of whether the grants are in the database, so that its token covers them."""


@dataclass(frozen=True, kw_only=True)
class Glance:
    """What one viewer may see of what is kept under a token; None keeps nothing.

    Who may see it is asked each time.
    """

    token: Token | None
    kept: Kept
    state: State
    viewer: Viewer
    open_experiments: bool

    def made(self, experiment: UUID, key: str, *, against: UUID | None = None) -> Any:
        """Return what was made of the experiment, as a snapshot was told to keep it.

        None if nothing is kept, also if the viewer may not see the experiment or the
        one that it is compared `against`: a snapshot says so. Raises
        DatabaseUnavailableError.
        """
        if not self._sees(experiment) or (against and not self._sees(against)):
            return None
        return self.kept.get(("made", experiment, key), self.token)

    def _sees(self, experiment: UUID) -> bool:
        """Return whether the viewer certainly sees the experiment."""
        is_inside = self.kept.get(STATE_IS_INSIDE, self.token)
        if is_inside is None:
            return False
        if is_inside:
            grantees = self.kept.get(("grantees", experiment), self.token)
        else:
            # Asked even if nothing is kept: what is hidden from the viewer must cost as
            # much as what is not there.
            grantees, _ = self.state.grantees(None, experiment)
        return grantees is not None and may_see(
            self.viewer, experiment, grantees, open_experiments=self.open_experiments
        )
