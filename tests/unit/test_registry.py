"""Plug-ins by name: what is declared is installed, and a mistake says what there is."""

from __future__ import annotations

import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_args

import pytest

import rag
from rag.errors import ConfigError, MissingExtra, UnknownPlugin
from rag.ports import Folders
from rag.registry import Group, installed, make_plugin, plugin_class, told_options

GROUPS: tuple[Group, ...] = get_args(Group)
DECLARED: dict[str, dict[str, str]] = tomllib.loads(
    (Path(rag.__file__).parents[1] / "pyproject.toml").read_text("utf-8")
)["project"]["entry-points"]


def test_every_declared_group_is_known() -> None:
    assert set(DECLARED) == {f"cumulo.{group}" for group in GROUPS}


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_declared_is_installed(group: Group) -> None:
    ours = {
        point.name: point.value
        for point in entry_points(group=f"cumulo.{group}")
        if point.dist is not None and point.dist.name == "cumulo"
    }
    assert ours == DECLARED[f"cumulo.{group}"], (
        "pyproject.toml has changed since the installation; run: pip install --no-deps -e ."
    )


@pytest.mark.parametrize(
    ("group", "kind"),
    [(group, kind) for group in GROUPS for kind in DECLARED.get(f"cumulo.{group}", ())],
)
def test_every_plug_in_loads_and_has_options(group: Group, kind: str) -> None:
    cls = plugin_class(group, kind)
    assert cls.Options.model_config["extra"] == "forbid"
    with pytest.raises(ConfigError, match="no_such_option is not a known key"):
        make_plugin(group, kind, {"no_such_option": 1})


def test_plug_ins_are_listed_by_name() -> None:
    assert list(installed("embedders")) == sorted(installed("embedders"))
    assert {"hashing", "openvino"} <= set(installed("embedders"))


def test_an_unknown_kind_lists_the_installed_ones() -> None:
    with pytest.raises(UnknownPlugin, match="no vector store of kind 'fais' is installed") as found:
        plugin_class("vector_stores", "fais")
    assert found.value.hint is not None
    assert found.value.hint.startswith("installed: ")
    assert {"faiss", "memory"} <= set(found.value.hint.removeprefix("installed: ").split(", "))


def test_a_wrong_option_is_named_and_its_value_is_not() -> None:
    with pytest.raises(ConfigError) as found:
        make_plugin("embedders", "hashing", {"dim": "sk-secret", "dims": "sk-secret"})
    assert "options of hashing: dim: " in str(found.value)
    assert "dims is not a known key" in str(found.value)
    assert "sk-secret" not in str(found.value)


def test_a_plug_in_is_built_from_its_options(tmp_path: Path) -> None:
    folders = Folders(models=tmp_path, cache=tmp_path)
    embedder = make_plugin("embedders", "hashing", {"dim": "32"}, folders)
    assert embedder.dim == 32


# --- other people's plug-ins ---------------------------------------------------------------------


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a distribution with two embedders; the driver of one is not there."""
    info = tmp_path / "somebodys_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[cumulo.embedders]\n"
        "theirs = somebodys_plugins:Theirs\n"
        "driverless = somebodys_driver_plugin:Driverless\n"
    )
    (tmp_path / "somebodys_plugins.py").write_text(
        "from pydantic import BaseModel\n"
        "class Theirs:\n"
        "    class Options(BaseModel):\n"
        "        url: str = 'here'\n"
        "    def __init__(self, options, folders):\n"
        "        self.given = options.url, folders\n"
    )
    (tmp_path / "somebodys_driver_plugin.py").write_text("import a_driver_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("third_party")
def test_an_installed_package_adds_a_kind() -> None:
    assert {"theirs", "driverless", "hashing"} <= set(installed("embedders"))
    made = make_plugin("embedders", "theirs", {"url": "there"}, "folders")
    assert made.given == ("there", "folders")


@pytest.mark.usefixtures("third_party")
def test_a_missing_driver_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(MissingExtra, match="'a_driver_that_is_not_there'") as found:
        plugin_class("embedders", "driverless")
    assert found.value.hint == "pip install cumulo[driverless]"


def test_options_are_told_without_their_secrets() -> None:
    given = {
        "model": "m",
        "dim": 8,
        "max_tokens": 64,
        "connection": {
            "base_url": "http://127.0.0.1:1/v1",
            "api_key": "sk-hidden",
            "headers": {"x-gate": "hidden-too"},
        },
    }
    told = told_options("embedders", "openai_compatible", given)
    assert "hidden" not in str(told)
    assert told["connection"]["base_url"] == "http://127.0.0.1:1/v1"
    assert (told["model"], told["dim"]) == ("m", 8)
    assert told_options("embedders", "hashing", {}) == {}
