"""The configuration tree: which source wins, what is refused, and that no value is ever shown."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag.errors import ConfigError
from rag.settings import BUILT_IN, Settings, load_settings

SECRET = "sk-4f1c-do-not-show"

GOOD: dict[str, Any] = {
    "data_dir": "here/data",
    "model_dir": "~/models",
    "stores": {"big": {"kind": "faiss", "options": {"deep": {"er": [1, 2]}}}},
    "embedders": {"tiny": {"kind": "hashing", "options": {"dim": 32}}},
    "sparse_encoders": {"sharp": {"kind": "bm25", "options": {"k1": 1.2}}},
    "defaults": {"store": "big", "embedder": "tiny", "sparse_encoder": "sharp"},
    "chunking": {"target_tokens": 100, "min_tokens": 20},
    "retrieval": {"depth": 50, "fusion": "rrf", "dense_weight": 0.5, "unknown_share": 0.1},
    "vector_cache": {"enabled": False, "max_bytes": 1000},
}


def write(tree: object, name: str = "cumulo.yaml") -> None:
    """Put a settings file into the working folder; text is written as it is."""
    Path(name).write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))


def refused(**given: Any) -> str:
    """Return the error, which must be one line and keep secrets."""
    with pytest.raises(ConfigError) as caught:
        load_settings(**given)
    shown = str(caught.value)
    assert "\n" not in shown
    assert SECRET not in shown
    assert SECRET not in repr(caught.value)
    return shown


# --- sources and their order ---------------------------------------------------------------------


def test_defaults_need_nothing() -> None:
    found = load_settings()
    assert found.data_dir == Path.cwd() / ".cumulo"
    assert found.model_dir == Path.home() / ".cache/cumulo/models"
    assert (found.defaults.store, found.defaults.embedder) == ("faiss", "minilm")


def test_argument_then_environment_then_file_then_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().retrieval.depth == 100
    write({"data_dir": "from file", "retrieval": {"depth": 1}})
    assert load_settings().data_dir == Path.cwd() / "from file"
    assert load_settings().retrieval.depth == 1
    monkeypatch.setenv("CUMULO_DATA_DIR", "from environment")
    monkeypatch.setenv("CUMULO_RETRIEVAL__DEPTH", "2")
    assert load_settings().data_dir == Path.cwd() / "from environment"
    assert load_settings().retrieval.depth == 2
    given = load_settings(data_dir=Path("from argument"), retrieval={"depth": 3})
    assert given.data_dir == Path.cwd() / "from argument"
    assert given.retrieval.depth == 3
    assert load_settings(data_dir=None).data_dir == Path.cwd() / "from environment"


def test_sources_are_merged_key_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    write({"retrieval": {"depth": 7, "fusion": "rrf"}, "defaults": {"store": "big"}})
    monkeypatch.setenv("CUMULO_RETRIEVAL__UNKNOWN_SHARE", "0.5")
    found = load_settings(defaults={"embedder": "hashing"})
    assert (found.retrieval.depth, found.retrieval.fusion) == (7, "rrf")
    assert found.retrieval.unknown_share == 0.5
    assert (found.defaults.store, found.defaults.embedder) == ("big", "hashing")


def test_the_environment_names_plug_ins_level_by_level_or_as_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUMULO_EMBEDDERS__TINY__KIND", "hashing")
    monkeypatch.setenv("CUMULO_EMBEDDERS__TINY__OPTIONS__DIM", "32")
    monkeypatch.setenv("CUMULO_STORES", json.dumps({"big": {"kind": "faiss"}}))
    found = load_settings()
    assert found.embedders["tiny"].kind == "hashing"
    assert int(found.embedders["tiny"].options["dim"]) == 32
    assert found.stores["big"].kind == "faiss"


def test_built_in_names_stay_beside_given_ones() -> None:
    write({**GOOD, "embedders": {"minilm": {"kind": "hashing"}, "tiny": {"kind": "hashing"}}})
    found = load_settings()
    assert set(found.stores) == {*BUILT_IN["stores"], "big"}
    assert set(found.embedders) == {*BUILT_IN["embedders"], "tiny"}
    assert found.embedders["minilm"].kind == "hashing"  # given anew
    assert found.embedders["hashing"].kind == "hashing"


def test_another_file_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write({"retrieval": {"depth": 1}})
    write({"retrieval": {"depth": 2}}, "other.yaml")
    monkeypatch.setenv("CUMULO_CONFIG", "other.yaml")
    assert load_settings().retrieval.depth == 2
    monkeypatch.setenv("CUMULO_CONFIG", "nowhere.yaml")
    assert "CUMULO_CONFIG names nowhere.yaml" in refused()


@pytest.mark.parametrize("text", ["", "# only a remark\n", "---\n", "{}"])
def test_an_empty_file_changes_nothing(text: str) -> None:
    before = load_settings()
    write(text)
    assert load_settings() == before


def test_variables_of_tests_and_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings()
    monkeypatch.setenv("CUMULO_TEST_EXAMPLES", "1000")
    monkeypatch.setenv("CUMULO_TEST_", "x")
    monkeypatch.setenv("CUMULONIMBUS", "x")
    assert load_settings() == before


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "named"),
    [
        ({"retreival": {"depth": 3}}, "retreival"),
        ({"retrieval": {"depht": 3}}, "retrieval.depht"),
        ({"stores": {"big": {"kind": "faiss", "option": {}}}}, "stores.big.option"),
        ({"stores": {"big": {"options": {}}}}, "stores.big.kind"),
        ({"vector_cache": {"max_bytes": -1}}, "vector_cache.max_bytes"),
        ({"retrieval": {"dense_weight": 1.5}}, "retrieval.dense_weight"),
        ({"retrieval": {"fusion": "sum"}}, "retrieval.fusion"),
        ({"chunking": []}, "chunking"),
        ({"data_dir": "~nobody-of-this-name/data"}, "data_dir"),
        ({"embedders": "hashing"}, "embedders"),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_name(tree: dict[str, Any], named: str) -> None:
    assert f"settings: {named}" in refused(**tree)
    write(tree)
    assert f"settings: {named}" in refused()


def test_every_problem_is_named_at_once() -> None:
    write({"retreival": 1, "chunking": {"min_tokens": 0}, "data_dir": ["x"]})
    error = refused()
    assert all(name in error for name in ("retreival", "chunking.min_tokens", "data_dir"))


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("CUMULO_RETREIVAL__DEPTH", "3", "CUMULO_RETREIVAL__DEPTH"),
        ("CUMULO_DATADIR", SECRET, "CUMULO_DATADIR"),
        ("CUMULO_", SECRET, "CUMULO_"),
        ("CUMULO_RETRIEVAL__DEPHT", SECRET, "retrieval.depht"),
        ("CUMULO_RETRIEVAL__DEPTH", SECRET, "retrieval.depth"),
        ("CUMULO_STORES", SECRET, "stores"),
        ("CUMULO_STORES", f'["{SECRET}"]', "stores"),
        ("CUMULO_STORES__BIG__OPTION", SECRET, "stores.big.option"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert named in refused()


@pytest.mark.parametrize(
    "text",
    [
        f"api_key: {SECRET}",
        f"retrieval: {{depth: {SECRET}}}",
        f"retrieval: {{fusion: {SECRET}}}",
        f"stores: [{SECRET}]",
        f"embedders: {{big: {SECRET}}}",
        f"embedders: {{big: {{kind: [{SECRET}]}}}}",
        f"data_dir: [{SECRET}]",
        f"vector_cache: {{enabled: {SECRET}}}",
        f"key: *{SECRET}",
        f"stores: !{SECRET} x",
        f'stores: "{SECRET}\\q"',
    ],
)
def test_no_value_is_shown(text: str) -> None:
    write(text)
    refused()


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "a: b: c",
        "\ta: 1",
        "%bad",
        "key: *nothing",
        "a: !thing b",
        "? [a]\n: 3",
        "retrieval:\n  ? {a: b}\n  : 3",
        "a: 2020-13-45",
        "a: \x00",
        "a: 1\n---\nb: 2",
    ],
)
def test_broken_yaml_is_one_clear_error(text: str) -> None:
    write(text)
    assert "cumulo.yaml is not valid YAML" in refused()


def test_the_place_of_the_mistake_is_named() -> None:
    write("retrieval:\n  depth: 3\n  fusion: rrf: convex\n")
    assert "at line 3, column 14" in refused()


@pytest.mark.parametrize("text", ["- 1\n- 2", "just words", "3", "1: 2", "2020-01-01: x", "yes: x"])
def test_a_file_that_is_no_mapping_of_names_is_refused(text: str) -> None:
    write(text)
    assert "cumulo.yaml is not a mapping" in refused()


def test_a_file_of_other_bytes_is_refused() -> None:
    Path("cumulo.yaml").write_bytes(b"\xff\xfe\xfa\x00retrieval")
    assert "cumulo.yaml is not valid YAML" in refused()


# --- any mistake ---------------------------------------------------------------------------------

JUNK: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**30, -0.5, float("nan"), float("inf"), "", "x", "-1", "~", "\0"),
    *([], [[]], [None], {}, {"": ""}, {"kind": {}}, {"kind": "x", "options": []}, {1: 2}),
    *({"a": {"b": {"c": [{"d": None}]}}}, {None: None}, ["kind"], "{}", b"bytes"),
)


def places(tree: Any) -> list[tuple[dict[Any, Any], Any]]:
    """Return every (mapping, key) of a tree."""
    found = []
    for key, value in tree.items():
        found.append((tree, key))
        if isinstance(value, dict):
            found += places(value)
    return found


MUTATIONS: tuple[Callable[[random.Random, dict[Any, Any], Any], None], ...] = (
    lambda rng, where, key: where.update({key: rng.choice(JUNK)}),
    lambda rng, where, key: where.update({f"{key}{rng.choice('sx_ ')}": where.pop(key)}),
    lambda rng, where, key: where.update({rng.choice([1, None, 2.5, ""]): where.pop(key)}),
    lambda rng, where, key: where.update({key: [where[key]]}),
    lambda rng, where, key: where.update({key: {key: where[key]}}),
    lambda rng, where, key: where.pop(key),
)


def test_any_mistake_is_our_error_or_none() -> None:
    rng = random.Random(20240611)
    errors: list[str] = []
    for _ in range(int(os.environ.get("CUMULO_TEST_EXAMPLES", "200"))):
        tree = copy.deepcopy(GOOD)
        for _ in range(rng.randint(1, 3)):
            where, key = rng.choice(places(tree))
            rng.choice(MUTATIONS)(rng, where, key)
        write(tree)
        try:
            assert isinstance(load_settings(), Settings)
        except ConfigError as exc:
            errors.append(str(exc))
    assert len(errors) > 50
    assert not any("\n" in error for error in errors)


def test_the_good_tree_is_good() -> None:
    write(GOOD)
    found = load_settings()
    assert found.data_dir == Path.cwd() / "here/data"
    assert found.model_dir == Path.home() / "models"
    assert found.stores["big"].options == {"deep": {"er": [1, 2]}}
    assert found.vector_cache.enabled is False
