"""The graph of a BERT-family encoder, written with OpenVINO's own operations.

Knows the architecture (Devlin et al. 2019; RoBERTa differs in its position offset only) and the
names of its weights. Knows nothing of tokens, pooling, devices or threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.errors import Unsupported

Weights = Mapping[str, npt.NDArray[np.float32]]
FAMILIES = ("bert", "camembert", "roberta", "xlm-roberta")


@dataclass(frozen=True, slots=True)
class BertShape:
    """The numbers of `config.json` that decide the graph."""

    layers: int
    heads: int
    hidden: int
    activation: str
    norm_eps: float
    first_position: int
    """Row of the position table that the first token takes."""

    @staticmethod
    def from_config(config: Mapping[str, Any]) -> BertShape:
        """Read a Hugging Face `config.json`; raise `Unsupported` for another architecture."""
        family = config.get("model_type", "bert")
        positions = config.get("position_embedding_type", "absolute")
        if family not in FAMILIES or positions != "absolute":
            raise Unsupported(
                f"the model is a {family!r} with {positions} positions",
                hint=f"the openvino embedder runs {', '.join(FAMILIES)} with absolute positions",
            )
        activation = config.get("hidden_act", "gelu")
        if activation not in ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu"):
            raise Unsupported(f"the model's activation {activation!r} is not supported")
        return BertShape(
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            hidden=config["hidden_size"],
            activation=activation,
            norm_eps=config.get("layer_norm_eps", 1e-12),
            first_position=0 if family == "bert" else config.get("pad_token_id", 1) + 1,
        )


def build_encoder(shape: BertShape, weights: Weights) -> Any:
    """Return an `openvino.Model`: ids and mask, int64 (batch, tokens), to the last hidden state."""
    import openvino as ov
    from openvino import opset13 as op

    names = _names(weights)
    ids = op.parameter([-1, -1], np.int64, "input_ids")
    mask = op.parameter([-1, -1], np.int64, "attention_mask")
    dense, norm = _layers(op, shape, names)

    words = op.gather(op.constant(names("embeddings.word_embeddings.weight")), ids, np.int64(0))
    first = shape.first_position
    table = names("embeddings.position_embeddings.weight")[first:]
    length = op.gather(op.shape_of(ids), np.array([1], np.int64), np.int64(0))
    zero, one = np.array([0], np.int64), np.array([1], np.int64)
    positions = op.slice(op.constant(table), zero, length, one, zero)
    segment = names("embeddings.token_type_embeddings.weight")[0]
    x = norm(op.add(op.add(words, op.constant(segment)), positions), "embeddings.LayerNorm")

    attend = op.unsqueeze(op.convert(mask, np.bool_), np.array([1, 2], np.int64))
    split = np.array([0, 0, shape.heads, shape.hidden // shape.heads], np.int64)
    swap = np.array([0, 2, 1, 3], np.int64)

    def heads(node: Any) -> Any:
        return op.transpose(op.reshape(node, split, special_zero=True), swap)

    for i in range(shape.layers):
        at = f"encoder.layer.{i}"
        q, k, v = (
            heads(dense(x, f"{at}.attention.self.{part}")) for part in ("query", "key", "value")
        )
        mixed = op.scaled_dot_product_attention(q, k, v, attend)
        merged = op.reshape(
            op.transpose(mixed, swap), np.array([0, 0, shape.hidden], np.int64), special_zero=True
        )
        out = dense(merged, f"{at}.attention.output.dense")
        x = norm(op.add(x, out), f"{at}.attention.output.LayerNorm")
        inner = _activation(op, shape.activation)(dense(x, f"{at}.intermediate.dense"))
        x = norm(op.add(x, dense(inner, f"{at}.output.dense")), f"{at}.output.LayerNorm")
    return ov.Model([x], [ids, mask], "encoder")


def _layers(
    op: Any, shape: BertShape, names: Callable[[str], npt.NDArray[np.float32]]
) -> tuple[Callable[[Any, str], Any], Callable[[Any, str], Any]]:
    """Return the two building blocks: a dense layer and layer normalisation, by weight name."""

    def dense(node: Any, name: str) -> Any:
        product = op.matmul(node, op.constant(names(f"{name}.weight")), False, True)
        return op.add(product, op.constant(names(f"{name}.bias")))

    def norm(node: Any, name: str) -> Any:
        axes = np.array([-1], np.int64)
        scaled = op.mvn(node, axes, True, shape.norm_eps, "INSIDE_SQRT")
        return op.add(
            op.multiply(scaled, op.constant(names(f"{name}.weight"))),
            op.constant(names(f"{name}.bias")),
        )

    return dense, norm


def _activation(op: Any, name: str) -> Callable[[Any], Any]:
    if name == "relu":
        return lambda node: op.relu(node)
    mode = "ERF" if name == "gelu" else "TANH"
    return lambda node: op.gelu(node, mode)


def _names(weights: Weights) -> Callable[[str], npt.NDArray[np.float32]]:
    """Find weights whatever prefix the checkpoint was saved with (`bert.`, `roberta.`, none)."""
    anchor = "embeddings.word_embeddings.weight"
    found = next((name for name in weights if name.endswith(anchor)), None)
    if found is None:
        raise Unsupported(
            f"the checkpoint has no {anchor!r}", hint="is it a BERT-family encoder in safetensors?"
        )
    prefix = found.removesuffix(anchor)

    def get(name: str) -> npt.NDArray[np.float32]:
        try:
            return weights[prefix + name]
        except KeyError as exc:
            raise Unsupported(f"the checkpoint has no weight {prefix + name!r}") from exc

    return get
