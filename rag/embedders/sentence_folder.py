"""A folder in the layout of sentence-transformers: what its files say before anything is loaded.

Any architecture, as long as the folder has safetensors and no code. A BERT-family folder has the
same fingerprint as with the openvino embedder. Knows no runtime.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.embedders.bert_graph import BertShape
from rag.embedders.checkpoint import open_checkpoint
from rag.errors import ConfigError, Unsupported
from rag.models import file_digest

OWN = "sentence_transformers."
PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")
LONGEST = 1_000_000
"""Tokenizers without a limit state one of 10^30."""


@dataclass(frozen=True, slots=True)
class SentenceFolder:
    """The facts of a folder that decide what its vectors mean."""

    path: Path
    dim: int
    max_tokens: int
    query_prefix: str
    passage_prefix: str
    fingerprint: str


def open_sentence_folder(
    path: Path,
    *,
    max_tokens: int | None = None,
    query_prefix: str | None = None,
    passage_prefix: str | None = None,
) -> SentenceFolder:
    """Read a folder's description; arguments override what its files say."""
    check_harmless(path)
    if not (path / "tokenizer.json").is_file():
        raise ConfigError(f"the model folder {path} has no tokenizer.json")
    try:
        bert = open_checkpoint(
            path, max_tokens=max_tokens, query_prefix=query_prefix, passage_prefix=passage_prefix
        )
        shape = BertShape.from_config(bert.config)
    except (Unsupported, KeyError):
        facts = _facts(path, max_tokens, query_prefix, passage_prefix)
        return SentenceFolder(path, *facts, _fingerprint(path, facts))
    return SentenceFolder(
        path,
        shape.hidden,
        bert.max_tokens,
        bert.query_prefix,
        bert.passage_prefix,
        bert.fingerprint,
    )


def check_harmless(path: Path) -> None:
    """Raise `Unsupported` for a folder that would run code or unpickle weights when loaded."""
    config = _json(path / "config.json")
    modules = [str(module.get("type", "")) for module in _json(path / "modules.json") or []]
    foreign = [kind for kind in modules if not kind.startswith(OWN)]
    if config.get("auto_map") or foreign:
        raise Unsupported(
            f"{path.name} needs code of its own: {', '.join(foreign) or 'auto_map'}",
            hint="models that bring code are not run",
        )
    for folder in {file.parent for file in path.rglob("*") if file.suffix in PICKLES}:
        if not any(folder.glob("*.safetensors")):
            raise Unsupported(
                f"{folder} has weights, but no safetensors",
                hint="convert them: pickled weights are not loaded",
            )
    if not any(path.glob("*.safetensors")) and not any(path.rglob("*/*.safetensors")):
        raise ConfigError(f"the model folder {path} has no *.safetensors")


def unsaved_weights(path: Path, names: Iterable[str], base: str) -> list[str]:
    """Return the weights of these names that the folder does not have, with or without `base`.

    What a checkpoint lacks is made up at random by the library, which only logs it.
    """
    from safetensors import safe_open

    saved: set[str] = set()
    for file in path.rglob("*.safetensors"):
        with safe_open(file, framework="numpy") as opened:
            saved.update(key.removeprefix(f"{base}.") for key in opened.keys())  # noqa: SIM118
    renamed = {key.replace(".gamma", ".weight").replace(".beta", ".bias") for key in saved}
    return sorted(set(names) - saved - renamed)


def _facts(
    path: Path, max_tokens: int | None, query_prefix: str | None, passage_prefix: str | None
) -> tuple[int, int, str, str]:
    """Return dimension, token limit and prefixes."""
    own = _json(path / "config_sentence_transformers.json")
    prompts = own.get("prompts") or {}
    limit = token_limit(path)
    if limit is None:
        raise ConfigError(f"{path.name} does not say how many tokens it reads")
    if max_tokens is not None and not 8 <= max_tokens <= limit:
        raise ConfigError(f"max_tokens is {max_tokens}; {path.name} reads 8 to {limit}")
    passage = prompts.get("passage", prompts.get("document", ""))
    return (
        int(own.get("truncate_dim") or _dim(path)),
        max_tokens or limit,
        prompts.get("query", "") if query_prefix is None else query_prefix,
        passage if passage_prefix is None else passage_prefix,
    )


def _dim(path: Path) -> int:
    """Follow the modules: what pools multiplies, what projects replaces."""
    config = _json(path / "config.json")
    config = config.get("text_config") or config
    dim = int(config.get("hidden_size") or config.get("d_model") or config.get("dim") or 0)
    for module in _json(path / "modules.json") or []:
        facts = _json(path / module["path"] / "config.json") if module["path"] else {}
        if module["type"].endswith("Pooling"):
            dim *= max(1, sum(facts.get(key) is True for key in facts if "pooling_mode_" in key))
        dim = int(facts.get("out_features") or dim)
    if dim < 1:
        raise Unsupported(f"{path.name} does not say how wide its vectors are")
    return dim


def token_limit(path: Path) -> int | None:
    """Return how many tokens the folder's files say that the model reads."""
    stated = (
        _json(path / "sentence_bert_config.json").get("max_seq_length"),
        _json(path / "tokenizer_config.json").get("model_max_length"),
        _json(path / "config.json").get("max_position_embeddings"),
    )
    return next((int(number) for number in stated if number and number < LONGEST), None)


def _fingerprint(path: Path, facts: tuple[int, int, str, str]) -> str:
    """Digest all that decides the vectors: weights, tokenizer, modules and these facts."""
    digest = hashlib.sha256()
    names = ("*.safetensors", "tokenizer.json", "modules.json", "config.json")
    for file in sorted({file for name in names for file in path.rglob(name)}):
        digest.update(f"{file.relative_to(path).as_posix()} {file_digest(file)}\n".encode())
    digest.update(json.dumps(facts, ensure_ascii=False).encode())
    return f"st-{digest.hexdigest()[:32]}"


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}
