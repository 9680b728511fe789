"""Small models with random weights, in the layout of sentence-transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[1] / "golden"
DIM = 32


def golden_copy(name: str, to: Path) -> Path:
    """Copy an encoder of `tests/golden`, with the files that the library wants besides."""
    shutil.copytree(GOLDEN / name, to)
    modules = json.loads((to / "modules.json").read_text())
    write(to / "modules.json", [{**m, "idx": i, "name": str(i)} for i, m in enumerate(modules)])
    pooling = to / "1_Pooling" / "config.json"
    write(pooling, {**json.loads(pooling.read_text()), "word_embedding_dimension": DIM})
    write_tokenizer_config(to, xlm=name == "tiny-xlm")
    return to


def write_tokenizer_config(to: Path, *, xlm: bool = False) -> None:
    names = ("pad", "unk", "cls", "sep")
    tokens = ("<pad>", "<unk>", "<s>", "</s>") if xlm else ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    facts = {f"{name}_token": token for name, token in zip(names, tokens, strict=True)}
    write(to / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **facts})


def cross_encoder(to: Path, *, labels: int = 1, layers: int = 2) -> Path:
    """Write a BERT cross-encoder that nobody trained."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(7)
    given = json.loads((GOLDEN / "tiny-mean" / "config.json").read_text())
    sizes = {
        key: given[key]
        for key in ("hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
    }
    config = BertConfig(
        **sizes,
        num_hidden_layers=layers,
        max_position_embeddings=64,
        num_labels=labels,
        initializer_range=0.5,
    )
    model = BertForSequenceClassification(config)
    model.save_pretrained(to)
    shutil.copy(GOLDEN / "tiny-mean" / "tokenizer.json", to)
    paired(to / "tokenizer.json")
    write_tokenizer_config(to)
    return to


def paired(file: Path) -> None:
    """Let a tokenizer put two texts into one row, as BERT does."""
    from tokenizers import Tokenizer, processors

    tokenizer = Tokenizer.from_file(str(file))
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    tokenizer.save(str(file))


def write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value))
