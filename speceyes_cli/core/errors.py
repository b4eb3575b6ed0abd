"""The one family of errors a user meets as a sentence, not a traceback."""

from __future__ import annotations


class SpecEyesError(Exception):
    """Base of everything the user can mend: printed as one sentence, exit code 2."""


class UsageError(SpecEyesError):
    """An option, name or path is wrong."""


class DataError(SpecEyesError):
    """A dataset, run folder or file is not what it should be."""


class PictureError(DataError):
    """A picture is missing, truncated, not a picture, or too large."""


class RowError(PictureError):
    """A row of a dataset that cannot be asked; its sample's picture raises this when opened."""


class PluginError(SpecEyesError):
    """Plugins clash, or one implements a hook that does not exist."""


class RunStopError(SpecEyesError):
    """Nothing more may be run, such as code that can no longer be isolated; the run stops here."""


class ServerLostError(RunStopError):
    """The server of a model is gone, or lets nobody in: a run stops.

    What serves others fails the question alone, and waits for the server to come back.
    """


class WorkerDiedError(Exception):
    """A process that worked for one call died; the call is tried once more, then given up."""


class CancelledSampleError(Exception):
    """The sample was cancelled."""

    def __str__(self) -> str:
        return "nobody waits for this answer any more"


class ContextLengthError(SpecEyesError):
    """A conversation has more tokens than the model reads."""
