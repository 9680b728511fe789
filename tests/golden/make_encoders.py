"""Write tiny encoders with random weights, and the vectors that transformers gives for them.

Run with an environment that has torch and transformers; the outcome is committed:
    python tests/golden/make_encoders.py
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

HERE = Path(__file__).parent
WORDS = "the a cat dog sat on mat query passage : represent this sentence for search".split()
TEXTS = ["the cat sat on the mat", "a dog", "the mat on the cat sat a dog on this mat zebra", "cat"]


def tokenizer(specials: list[str]) -> Tokenizer:
    vocab = {token: i for i, token in enumerate([*specials, *WORDS])}
    unknown = next(s for s in specials if "unk" in s.lower())
    made = Tokenizer(models.WordLevel(vocab, unk_token=unknown))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    first, last = (s for s in specials if s in ("[CLS]", "[SEP]", "<s>", "</s>"))
    made.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(first, vocab[first]), (last, vocab[last])]
    )
    return made


def write(
    name: str, model: torch.nn.Module, specials: list[str], pooling: str, prompts: dict[str, str]
) -> None:
    folder = HERE / name
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    made = tokenizer(specials)
    made.save(str(folder / "tokenizer.json"))
    prefix = "encoder_model." if name == "tiny-half" else ""
    half = torch.float16 if name == "tiny-half" else torch.float32
    weights = {prefix + k: v.to(half).contiguous() for k, v in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    model.config.save_pretrained(folder)
    modes = {f"pooling_mode_{mode}": mode == pooling for mode in ("cls_token", "mean_tokens")}
    (folder / "1_Pooling/config.json").write_text(json.dumps(modes))
    modules = [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    if prompts:
        (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    expected = {role: [] for role in ("query", "passage")}
    for role, rows in expected.items():
        for text in TEXTS:
            ids = torch.tensor([made.encode(prompts.get(role, "") + text).ids])
            with torch.no_grad():
                hidden = model(ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
            vector = (hidden[0] if pooling == "cls_token" else hidden.mean(0)).numpy()
            rows.append((vector / np.linalg.norm(vector)).tolist())
    (folder / "expected.json").write_text(json.dumps({"texts": TEXTS, **expected}))


def main() -> None:
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 40,
        "initializer_range": 0.3,
    }
    bert = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    xlm = ["<s>", "<pad>", "</s>", "<unk>"]
    size = {"vocab_size": len(WORDS) + 4}
    torch.manual_seed(7)
    write("tiny-mean", BertModel(BertConfig(**shape, **size)).eval(), bert, "mean_tokens", {})
    config = BertConfig(**shape, **size, hidden_act="gelu_new", layer_norm_eps=1e-5)
    prompts = {"query": "represent this sentence : ", "passage": ""}
    write("tiny-cls", BertModel(config).eval(), bert, "cls_token", prompts)
    config = XLMRobertaConfig(**shape, **size, type_vocab_size=1, pad_token_id=1)
    prompts = {"query": "query : ", "passage": "passage : "}
    write("tiny-xlm", XLMRobertaModel(config).eval(), xlm, "mean_tokens", prompts)
    write("tiny-half", BertModel(BertConfig(**shape, **size)).eval(), bert, "mean_tokens", {})


if __name__ == "__main__":
    main()
