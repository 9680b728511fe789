"""Names of documents that callers choose: cleaned, so that none can be taken for a path."""

from __future__ import annotations

import unicodedata

from rag.errors import UserError

LONGEST = 1000
_DRIVE = 2
"""Characters of `C:`."""


def clean_name(name: str) -> str:
    """Return a name with plain slashes and without `..`, roots and control characters.

    Raise `UserError` when nothing of it is left, or too much.
    """
    shown = unicodedata.normalize("NFC", name).replace("\\", "/")
    shown = "".join(c for c in shown if unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp"))
    parts = [part.strip() for part in shown.split("/")]
    if parts and len(parts[0]) == _DRIVE and parts[0][1] == ":" and parts[0][0].isalpha():
        del parts[0]
    # `!/` stands between a file and what is inside it: no name may claim to be inside another.
    kept = [part.rstrip("!") or "_" for part in parts[:-1] if part not in ("", ".", "..")]
    if parts and parts[-1] not in ("", ".", ".."):
        kept.append(parts[-1])
    clean = "/".join(kept)
    if not clean:
        raise UserError(f"{name[:80]!r} is no name for a document")
    if len(clean) > LONGEST:
        raise UserError(f"the name of a document has more than {LONGEST} characters")
    return clean
