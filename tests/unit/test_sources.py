"""Which root a path belongs to, and what of it is listed or left to other roots."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexers.sources import Scope, plan_scopes
from rag.errors import NotFound


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path.resolve() / "docs"
    for name in ("a/x.md", "a/y.md", "a/b/z.md", "a/b/c/deep.md", "ab/near.md"):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return root


Expected = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
"""Per root: what to list (nothing said is everything) and what to skip."""


@pytest.mark.parametrize(
    ("paths", "known", "expected"),
    [
        # nothing known: a folder is its own root, a file is part of its folder
        (["a"], [], {"a": ((), ())}),
        (["a/x.md"], [], {"a": (("x.md",), ())}),
        (["a/y.md", "a/x.md"], [], {"a": (("x.md", "y.md"), ())}),
        (["a", "ab"], [], {"a": ((), ()), "ab": ((), ())}),
        ([], [], {}),
        # arguments that overlap count once
        (["a", "a"], [], {"a": ((), ())}),
        (["a/b", "a", "a/x.md", "a/b/c/deep.md"], [], {"a": ((), ())}),
        (["a/x.md", "a/b"], [], {"a": (("x.md",), ("b",)), "a/b": ((), ())}),
        (["a/../a/b/.."], [], {"a": ((), ())}),
        # a known root above takes the path as its part
        (["a/b"], ["a"], {"a": (("b",), ())}),
        (["a/b/z.md", "a/x.md"], ["a"], {"a": (("b/z.md", "x.md"), ())}),
        (["a"], ["a"], {"a": ((), ())}),
        (["a/b/z.md"], ["", "a", "a/b"], {"a/b": (("z.md",), ())}),  # the nearest one
        (["ab"], ["a"], {"ab": ((), ())}),  # a name that only begins alike is not above
        # a known root below keeps its own and is brought level too
        (["a"], ["a/b"], {"a": ((), ("b",)), "a/b": ((), ())}),
        (["a"], ["a/b/c"], {"a": ((), ("b/c",)), "a/b/c": ((), ())}),
        (["a/x.md"], ["a/b"], {"a": (("x.md",), ("b",))}),  # not asked for: not listed
        (["a/b/z.md", "a"], ["a/b"], {"a": ((), ("b",)), "a/b": ((), ())}),
        # both
        (["a/b"], ["a", "a/b/c"], {"a": (("b",), ("b/c",)), "a/b/c": ((), ())}),
        (
            ["a"],
            ["", "a/b", "a/b/c"],
            {"": (("a",), ("a/b", "a/b/c")), "a/b": ((), ("c",)), "a/b/c": ((), ())},
        ),
    ],
)
def test_paths_become_scopes(
    tree: Path, paths: list[str], known: list[str], expected: Expected
) -> None:
    found = plan_scopes([tree / path for path in paths], [str(tree / root) for root in known])
    wanted = {str(tree / root): parts for root, parts in expected.items()}
    assert {scope.root: (scope.only, scope.skip) for scope in found} == wanted
    assert len(found) == len(wanted)


def test_a_known_root_that_is_gone_does_not_matter(tree: Path) -> None:
    assert plan_scopes([tree / "a"], [str(tree / "gone")]) == [Scope(str(tree / "a"))]


def test_a_link_is_the_folder_it_leads_to(tree: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tree / "a")
    assert plan_scopes([link], []) == [Scope(str(tree / "a"))]
    assert plan_scopes([link / "b", tree / "a"], []) == [Scope(str(tree / "a"))]
    file = tmp_path / "file.md"
    file.symlink_to(tree / "a/x.md")
    assert plan_scopes([file], []) == [Scope(str(tree / "a"), only=("x.md",))]


def test_a_relative_path_is_found_from_here(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "a")
    assert plan_scopes([Path()], []) == [Scope(str(tree / "a"))]
    assert plan_scopes([Path("x.md")], []) == [Scope(str(tree / "a"), only=("x.md",))]


@pytest.mark.parametrize("name", ["nowhere", "a/nothing.md", "a/x.md/below", "dangling"])
def test_what_does_not_exist_is_named(tree: Path, name: str) -> None:
    (tree / "dangling").symlink_to(tree / "nowhere")
    with pytest.raises(NotFound, match=f"no file or folder .*{name}"):
        plan_scopes([tree / "a", tree / name], [])
