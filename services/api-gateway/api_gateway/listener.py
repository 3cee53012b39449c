"""Who keeps something in memory is told what became of the log."""

from slipway.eventstore.store import Commit
from slipway.readmodel.model import Document


class Listener:
    """Inherit from it. Neither may raise or wait."""

    def written(self, commit: Commit, document: Document) -> None:
        """Appended by this process just now; `document` is what is read of the aggregate from
        now on. Told once more when its request is repeated."""

    def folded(self, commit: Commit) -> None:
        """By whatever process: the stored documents hold it."""
