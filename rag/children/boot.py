"""The first file that the interpreter of a child process runs, by its path.

Knows how to find packages without `site`, and nothing else: it hands over to `worker`. Its
arguments are the descriptor of the lifeline and the folder of the package `rag`.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location


class PackageFinder:
    """Finds packages in the folders that were told, wherever these are."""

    def __init__(self, folders: dict[str, str]) -> None:
        """Take folders by package; what is added later is found, too."""
        self.folders = folders

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return where the package is, as `importlib` asks every finder."""
        folder = self.folders.get(name)
        if folder is None:
            return None
        place = f"{folder}/__init__.py"
        return spec_from_file_location(name, place, submodule_search_locations=[folder])


def main() -> None:
    """Make `rag` importable and start to work."""
    folders = {"rag": sys.argv[2]}
    sys.meta_path.insert(0, PackageFinder(folders))

    from rag.children.worker import work

    work(lifeline=int(sys.argv[1]), folders=folders)


if __name__ == "__main__":
    main()
