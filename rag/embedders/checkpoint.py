"""A sentence-embedding checkpoint on disk: what its files say of tokens, pooling and prefixes.

Follows the sentence-transformers layout (`modules.json`, `1_Pooling`, prompts). Knows no runtime.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rag.errors import ConfigError, Unsupported
from rag.models import file_digest

Pooling = Literal["mean", "cls"]

# Families whose checkpoints were trained with prefixes that their files do not state: (name
# pattern, query prefix, passage prefix), from the model cards.
PREFIXES = (
    (r"\be5-(small|base|large)(?!.*instruct)", "query: ", "passage: "),
    (r"bge-(small|base|large)-en", "Represent this sentence for searching relevant passages: ", ""),
    (r"bge-(small|base|large)-zh", "为这个句子生成表示以用于检索相关文章：", ""),
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The facts of a checkpoint that decide what its vectors mean."""

    path: Path
    config: dict[str, Any]
    pooling: Pooling
    max_tokens: int
    query_prefix: str
    passage_prefix: str

    @property
    def fingerprint(self) -> str:
        """Digest of weights, tokenizer, pooling, prefixes and token limit."""
        digest = hashlib.sha256()
        for name in ("model.safetensors", "tokenizer.json"):
            digest.update(file_digest(self.path / name).encode())
        facts = [self.pooling, self.max_tokens, self.query_prefix, self.passage_prefix]
        digest.update(json.dumps(facts, ensure_ascii=False).encode())
        return f"bert-{digest.hexdigest()[:32]}"

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Load the weights as float32, whatever precision they were saved in."""
        from safetensors import safe_open

        with safe_open(self.path / "model.safetensors", framework="numpy") as file:
            kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            if "BF16" in kinds:
                raise Unsupported(
                    f"{self.path.name} is saved in bfloat16",
                    hint="convert it to float32 or float16",
                )
            return {name: _float32(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118


def open_checkpoint(
    path: Path,
    *,
    max_tokens: int | None = None,
    query_prefix: str | None = None,
    passage_prefix: str | None = None,
) -> Checkpoint:
    """Read a checkpoint's description; arguments override what its files say."""
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        if not (path / name).is_file():
            raise ConfigError(f"the model folder {path} has no {name}")
    config = _json(path / "config.json")
    known = _prefixes(f"{path.name} {config.get('_name_or_path', '')}")
    prompts = _json(path / "config_sentence_transformers.json").get("prompts", {})
    passage = prompts.get("passage", prompts.get("document", known[1]))
    return Checkpoint(
        path=path,
        config=config,
        pooling=_pooling(path),
        max_tokens=_max_tokens(path, config, max_tokens),
        query_prefix=prompts.get("query", known[0]) if query_prefix is None else query_prefix,
        passage_prefix=passage if passage_prefix is None else passage_prefix,
    )


def _pooling(path: Path) -> Pooling:
    modules = _json(path / "modules.json")
    kinds = [module["type"].rsplit(".", 1)[-1] for module in modules] if modules else []
    extra = sorted(set(kinds) - {"Transformer", "Pooling", "Normalize"})
    if extra:
        raise Unsupported(f"{path.name} has the module {extra[0]} behind its encoder")
    folder = next((m["path"] for m in modules if m["type"].endswith("Pooling")), "1_Pooling")
    facts = _json(path / folder / "config.json")
    chosen = sorted(name for name, on in facts.items() if name.startswith("pooling_mode_") and on)
    match chosen:
        case [] | ["pooling_mode_mean_tokens"]:
            return "mean"
        case ["pooling_mode_cls_token"]:
            return "cls"
        case _:
            raise Unsupported(f"{path.name} pools by {', '.join(chosen)}; mean and cls are known")


def _max_tokens(path: Path, config: dict[str, Any], asked: int | None) -> int:
    padded = config.get("model_type", "bert") != "bert"
    positions = config["max_position_embeddings"] - (
        config.get("pad_token_id", 1) + 1 if padded else 0
    )
    stated = _json(path / "sentence_bert_config.json").get("max_seq_length")
    stated = stated or _json(path / "tokenizer_config.json").get("model_max_length", positions)
    if asked is not None and not 8 <= asked <= positions:
        raise ConfigError(f"max_tokens is {asked}; {path.name} reads 8 to {positions}")
    return int(asked or min(stated, positions))


def _prefixes(name: str) -> tuple[str, str]:
    for pattern, query, passage in PREFIXES:
        if re.search(pattern, name):
            return query, passage
    return "", ""


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _float32(tensor: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return tensor if tensor.dtype == np.float32 else tensor.astype(np.float32)
