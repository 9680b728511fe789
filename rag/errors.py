"""Every failure that callers can act on, named by what they should do.

RagError                     anything raised on purpose; `hint` says what to do
├── UserError                the request is wrong: change it
│   ├── NotFound             no such collection, document, model, file
│   ├── InvalidFilter        a filter that cannot be read
│   ├── Conflict             it contradicts what is there
│   ├── TooLarge             it is larger than a limit
│   ├── ConfigError          settings are wrong: fix them
│   │   ├── UnknownPlugin    no installed plug-in has that name
│   │   └── MissingExtra     a driver is not installed
│   └── ModelMissing         model files are not here: pull them
├── UnreadableDocument       one document cannot be parsed: the others go on
├── IndexMismatch            data and pipeline do not belong together: re-index
├── DataFolderError          the data folder cannot be used as it is
├── Unsupported              this backend or format cannot do that
└── BackendError             a store, model or service failed
    ├── Unavailable          it may work later: retry
    ├── Late                 the deadline passed before it was done
    │   ├── StorageFull      the disk has no room for it
    │   └── Overloaded       too much at once: retry after a while
    └── Rejected             it will not work: do not retry
"""

from __future__ import annotations


class RagError(Exception):
    """A failure with a message for people and, where there is one, what to do about it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UserError(RagError):
    """The request itself is wrong."""


class NotFound(UserError):
    """What was asked for does not exist, or the caller may not know that it does."""


class InvalidFilter(UserError):
    """A filter that cannot be read; the message names the offending part."""


class Conflict(UserError):
    """The request contradicts what is there already.

    `retry_after`: seconds after which it may not any more, where that is so.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class TooLarge(UserError):
    """What was sent is larger than a limit."""


class ConfigError(UserError):
    """A setting is unknown, malformed or contradicts stored data."""


class UnknownPlugin(ConfigError):
    """No installed plug-in is registered under the name."""


class MissingExtra(ConfigError):
    """A plug-in's driver is not installed; the hint is the pip line."""


class ModelMissing(UserError):
    """Model files are neither at the path given nor in the model folder."""

    def __init__(self, message: str, *, model: str) -> None:
        super().__init__(message, hint=f"pull it with: rag models pull {model}")
        self.model = model


class UnreadableDocument(RagError):
    """One document could not be parsed; the run goes on without it.

    `code` says why in one word: one of `UNREADABLE`.
    """

    def __init__(self, message: str, *, code: str = "malformed", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


UNREADABLE = {
    "malformed": "the content is not what its type says",
    "unsupported": "there is no parser for this type",
    "encrypted": "it needs a password, and none that is configured opens it",
    "too_large": "it is, or unpacks to, more than the limits allow",
    "too_deep": "it is nested more deeply than the limits allow",
    "timeout": "parsing took longer than the limits allow",
    "out_of_memory": "parsing needed more memory than the limits allow",
    "crashed": "the parser's process died",
}


class IndexMismatch(RagError):
    """Vectors or rows do not fit the index that they were meant for."""


class DataFolderError(RagError):
    """The data folder is newer than this program, or cannot be opened."""


class Unsupported(RagError):
    """The backend or format cannot do what was asked, and says so."""


class BackendError(RagError):
    """A store, a model or a remote service failed."""


class Unavailable(BackendError):
    """A failure that may pass; the only one that is retried.

    `retry_after`: seconds for which the other side asked to be left alone, when it said so.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class StorageFull(Unavailable):
    """The disk has no room for it; nothing of it is kept."""


class Overloaded(Unavailable):
    """More is asked for at once than can be done; refused before any work."""


class Late(BackendError):
    """The deadline of the request passed before it was done."""


class Rejected(BackendError):
    """A failure that will not pass by trying again."""
