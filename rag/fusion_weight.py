"""The fitted weight of hybrid search: read from the file that the fitting script wrote."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources


@cache
def fitted_dense_weight() -> float:
    """Return the dense signal's share in convex fusion (see `fusion_weight.json`)."""
    facts = json.loads(resources.files("rag").joinpath("fusion_weight.json").read_text("utf-8"))
    return float(facts["dense_weight"])
