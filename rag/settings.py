"""The one configuration tree, and the only reader of the environment.

Order: argument, then environment (`CUMULO_…`, `__` between levels), then `cumulo.yaml`, then the
default. Unknown keys are refused by name. Stores, embedders and sparse encoders have names; a
generation pins a name, and settings here are defaults for new collections.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from rag.errors import ConfigError

PREFIX = "CUMULO_"
TEST_PREFIX = "CUMULO_TEST_"
CONFIG_VARIABLE = "CUMULO_CONFIG"
DEFAULT_FILE = "cumulo.yaml"


class Plugin(BaseModel):
    """A configured plug-in: which kind, and the options that its own model checks."""

    model_config = ConfigDict(extra="forbid")
    kind: str
    options: dict[str, Any] = {}


BUILT_IN: dict[str, dict[str, dict[str, Any]]] = {
    "stores": {"faiss": {"kind": "faiss"}},
    "embedders": {"minilm": {"kind": "openvino"}, "hashing": {"kind": "hashing"}},
    "sparse_encoders": {"bm25": {"kind": "bm25"}},
    "llms": {"local": {"kind": "local"}},
    "rerankers": {"late_interaction": {"kind": "late_interaction"}},
}

EXTRACTIVE = "extractive"
"""Stands where the name of an LLM may stand: answers are quotes, no model writes them."""


class Defaults(BaseModel):
    """Names that are taken where none is given; a new collection pins the first three."""

    model_config = ConfigDict(extra="forbid")
    store: str = "faiss"
    """Store of a new collection."""
    embedder: str = "minilm"
    """Embedder of a new collection."""
    sparse_encoder: str = "bm25"
    """Sparse encoder of a new collection."""
    llm: str = EXTRACTIVE
    """What writes answers: `extractive`, or the name of an LLM."""
    reranker: str | None = None
    """Reranker of every search; by default none."""


class Chunking(BaseModel):
    """How documents of a new collection are cut, in the embedder's tokens."""

    model_config = ConfigDict(extra="forbid")
    target_tokens: int = Field(default=200, ge=16)
    """Size that chunks grow to; the embedder's own limit is never exceeded."""
    min_tokens: int = Field(default=64, ge=1)
    """A heading starts a new chunk once the current one has this many."""
    table_tokens: int = Field(default=1536, ge=0)
    """A table up to this size stays in one chunk, even beyond the embedder's limit."""


class Parsing(BaseModel):
    """How files are read: in processes of their own, each with these limits."""

    model_config = ConfigDict(extra="forbid")
    workers: int = Field(default_factory=lambda: max(1, min(8, os.cpu_count() or 1)), ge=1)
    """Files parsed at once; by default one for each processor, at most 8."""
    memory_mb: int = Field(default=1024, ge=256)
    """Address space of one process, in MiB."""
    cpu_s: float = Field(default=12.0, gt=0)
    """Processor time without progress, and one second more for each MiB of the file."""
    wall_s: float = Field(default=60.0, gt=0)
    """Seconds to wait for progress, and one more for each MiB of the file."""
    passwords: list[SecretStr] = []
    """Tried on encrypted files."""
    parsers: dict[str, str] = {}
    """Your own parsers: endings of names (`.xyz`) to functions (`package.module:function`)."""
    ocr: bool = True
    """Read scanned pages and images, where Tesseract is installed."""
    ocr_languages: list[str] = []
    """Tesseract's names, such as `eng`; by default those of the script that is found."""


class Retrieval(BaseModel):
    """How candidates become hits."""

    model_config = ConfigDict(extra="forbid")
    depth: int = Field(default=100, ge=1, le=10_000)
    """Candidates per signal that are fused; at least k are always taken."""
    fusion: Literal["convex", "rrf"] = "convex"
    """Min-max scaled scores added up, or reciprocal ranks."""
    dense_weight: float | None = Field(default=None, ge=0, le=1)
    """Share of the dense signal in hybrid search; by default the fitted value."""
    unknown_share: float = Field(default=0.2, ge=0, le=1)
    """Above this share of unreadable tokens the dense signal is left out."""
    rerank_depth: int = Field(default=30, ge=1, le=1000)
    """Hits that a reranker puts in order; at least k are always taken."""


class Answering(BaseModel):
    """How a language model is asked."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = "answer-v1"
    """Name of the prompt: a file in `rag/prompts`, or the path of your own."""
    passages: int = Field(default=8, ge=1, le=100)
    """Hits that are shown to the model, as far as its context has room."""
    max_tokens: int = Field(default=512, ge=1)
    """Of an answer."""
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    """Of the model; null leaves it to the server."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Of a whole answer."""
    history_tokens: int = Field(default=1024, ge=0)
    """Of earlier turns of a conversation that are shown to the model."""


class Dependency(BaseModel):
    """How much is asked of one model or store at once, and when it is left alone."""

    model_config = ConfigDict(extra="forbid")
    concurrency: int = Field(default=32, ge=1)
    """Calls under way at once."""
    queue: int = Field(default=64, ge=0)
    """Calls that wait for their turn; further ones are refused at once."""
    failures: int = Field(default=5, ge=1)
    """Consecutive failures after which no call is made for a while."""
    open_s: float = Field(default=1.0, gt=0)
    """Seconds until one call may try again."""


class Serving(BaseModel):
    """The query API's process."""

    model_config = ConfigDict(extra="forbid")
    host: str = "127.0.0.1"
    """Address to listen on; only loopback, until callers are authenticated."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    workers: int = Field(default=1, ge=1)
    """Processes; one is best where the embedder runs in them."""
    concurrency: int = Field(default=64, ge=1)
    """Requests of one kind under way at once in one process."""
    queue: int = Field(default=128, ge=0)
    """Requests that wait for their turn; further ones get 503."""
    timeout_s: float = Field(default=30.0, gt=0)
    """Of a search; a request may ask for less with `X-Request-Timeout`."""
    drain_s: float = Field(default=20.0, ge=0)
    """After SIGTERM, for requests under way."""
    max_body_mb: int = Field(default=8, ge=1)
    """Of a JSON request."""
    max_upload_mb: int = Field(default=1024, ge=1)
    """Of one uploaded file."""
    batch_window_ms: float = Field(default=0.0, ge=0)
    """Wait so long for more questions to embed together; 0 takes what waits already."""
    runs: bool = True
    """Run ingestion in this process; switch it off where workers do."""


class Blobs(BaseModel):
    """Where parsed texts and originals are kept."""

    model_config = ConfigDict(extra="forbid")
    url: str | None = None
    """Folder or fsspec URL (`s3://bucket/path`); by default the data folder."""
    original_days: float | None = Field(default=None, gt=0)
    """Originals older than this go; by default they stay as long as their document."""


class Embedding(BaseModel):
    """How long an embedder that fails or hangs is borne with; a question gets a tenth of it."""

    model_config = ConfigDict(extra="forbid")
    timeout_s: float = Field(default=300.0, gt=0)
    """Seconds after which a call to an embedder counts as hung; a tenth for a question."""
    attempts: int = Field(default=6, ge=1)
    """Times that a failing call is tried, the first included; 1 retries nothing."""
    retry_budget_s: float = Field(default=600.0, gt=0)
    """Seconds that a call may take with all its retries; a tenth for a question."""


class VectorCache(BaseModel):
    """Vectors kept so that no text is embedded twice."""

    model_config = ConfigDict(extra="forbid")
    enabled: bool = True
    """Keep vectors between runs."""
    max_bytes: int = Field(default=4 * 2**30, ge=0)
    """Above this the longest unused vectors go."""


class Settings(BaseSettings):
    """Everything that can be configured."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Path(".cumulo")
    """Catalog, stores, texts and caches of this installation."""
    catalog_url: SecretStr | None = None
    """Catalog database, `postgresql://user:password@host/name`; by default a SQLite file in the
    data folder."""
    model_dir: Path = Path("~/.cache/cumulo/models")
    """Model files, shared by all data folders."""
    stores: dict[str, Plugin] = Field(default={}, validate_default=True)
    """Vector stores by name, each {kind, options}; `faiss` is there already."""
    embedders: dict[str, Plugin] = Field(default={}, validate_default=True)
    """Embedders by name; `minilm` and `hashing` are there already."""
    sparse_encoders: dict[str, Plugin] = Field(default={}, validate_default=True)
    """Sparse encoders by name; `bm25` is there already."""
    llms: dict[str, Plugin] = Field(default={}, validate_default=True)
    """Language models by name; `local` is there already."""
    rerankers: dict[str, Plugin] = Field(default={}, validate_default=True)
    """Rerankers by name; `late_interaction` is there already."""
    defaults: Defaults = Defaults()
    chunking: Chunking = Chunking()
    retrieval: Retrieval = Retrieval()
    parsing: Parsing = Parsing()
    embedding: Embedding = Embedding()
    answering: Answering = Answering()
    dependency: Dependency = Dependency()
    serving: Serving = Serving()
    blobs: Blobs = Blobs()
    vector_cache: VectorCache = VectorCache()

    @field_validator(*BUILT_IN, mode="before")
    @classmethod
    def _keep_built_in(cls, given: Any, info: Any) -> Any:
        """Built-in names stay unless they are given anew."""
        return {**BUILT_IN[info.field_name], **given} if isinstance(given, Mapping) else given

    @field_validator("data_dir", "model_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        try:
            return path.expanduser().absolute()
        except RuntimeError as exc:  # ~somebody, who is not here
            raise ValueError("the home folder that it names is not known") from exc

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources; there is no .env file and no secrets folder."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, _read_file())


def load_settings(**given: Any) -> Settings:
    """Read the settings; arguments that are None count as not given. Raise `ConfigError`."""
    _refuse_unknown_variables()
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as exc:
        raise ConfigError(describe(exc, "settings"), hint="see docs/settings.md") from exc
    except ValueError as exc:  # a variable that should be JSON and is not
        raise ConfigError(f"the environment cannot be read: {exc}") from exc


def describe(error: ValidationError, what: str) -> str:
    """Say what is wrong with a pydantic model in one line, without the values."""
    parts = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        place = ".".join(map(str, problem["loc"])) or what
        known = problem["type"] == "extra_forbidden"
        parts.append(f"{place} is not a known key" if known else f"{place}: {problem['msg']}")
    return f"{what}: " + "; ".join(parts)


def _read_file() -> dict[str, Any]:
    """Read the settings file, if there is one. Errors name places, never what stands there."""
    import yaml

    file = Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_FILE))
    if not file.is_file():
        if CONFIG_VARIABLE in os.environ:
            raise ConfigError(f"{CONFIG_VARIABLE} names {file}, which is not a file")
        return {}
    try:
        tree = yaml.safe_load(file.read_bytes())
    except OSError as exc:
        raise ConfigError(f"{file} cannot be read: {exc.strerror}") from exc
    except (yaml.YAMLError, ValueError) as exc:  # ValueError: a date that the calendar lacks
        mark = getattr(exc, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{file} is not valid YAML{place}", hint="a text with a colon in it needs quotes"
        ) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise ConfigError(f"{file} is not a mapping of names to settings")
    return tree


def _refuse_unknown_variables() -> None:
    fields = {name.upper() for name in Settings.model_fields}
    for variable in sorted(os.environ):
        if not variable.startswith(PREFIX) or variable.startswith(TEST_PREFIX):
            continue
        if variable != CONFIG_VARIABLE and variable[len(PREFIX) :].split("__")[0] not in fields:
            raise ConfigError(
                f"the environment variable {variable} is not a known setting",
                hint="see docs/settings.md for the names",
            )
