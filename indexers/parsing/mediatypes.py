"""Names of media types, and the endings of file names that stand for them.

Names are those that IANA registered (https://www.iana.org/assignments/media-types), where there is
one. Variants that one parser reads alike (templates, files with macros) have the type of the plain
format. Knows nothing of content.
"""

from __future__ import annotations

from collections.abc import Mapping

_OOXML = "application/vnd.openxmlformats-officedocument"
_ODF = "application/vnd.oasis.opendocument"

TEXT = "text/plain"
SOURCE_CODE = "text/x-source-code"
"""Text in lines that is no prose: programs, settings."""
MARKDOWN = "text/markdown"
HTML = "text/html"
RST = "text/x-rst"
ORG = "text/x-org"
CSV = "text/csv"
TSV = "text/tab-separated-values"
JSON = "application/json"
JSON_LINES = "application/jsonl"
NOTEBOOK = "application/x-ipynb+json"
XML = "application/xml"
SVG = "image/svg+xml"
MAIL = "message/rfc822"
MBOX = "application/mbox"
PDF = "application/pdf"
RTF = "application/rtf"
EPUB = "application/epub+zip"
DOCX = f"{_OOXML}.wordprocessingml.document"
XLSX = f"{_OOXML}.spreadsheetml.sheet"
PPTX = f"{_OOXML}.presentationml.presentation"
XLSB = "application/vnd.ms-excel.sheet.binary.macroEnabled.12"
ODT = f"{_ODF}.text"
ODS = f"{_ODF}.spreadsheet"
ODP = f"{_ODF}.presentation"
ODG = f"{_ODF}.graphics"
DOC = "application/msword"
XLS = "application/vnd.ms-excel"
PPT = "application/vnd.ms-powerpoint"
MSG = "application/vnd.ms-outlook"
OLE_ENCRYPTED = "application/x-ole-encrypted"
"""An office file that needs a password, in the container of [MS-OFFCRYPTO]."""
ZIP = "application/zip"
TAR = "application/x-tar"
"""Compressed or not."""
GZIP = "application/gzip"
BZIP2 = "application/x-bzip2"
XZ = "application/x-xz"
ZSTD = "application/zstd"
SEVEN_ZIP = "application/x-7z-compressed"
RAR = "application/vnd.rar"
PNG = "image/png"
JPEG = "image/jpeg"
TIFF = "image/tiff"
GIF = "image/gif"
BMP = "image/bmp"
WEBP = "image/webp"


def _endings(table: Mapping[str, str]) -> dict[str, str]:
    return {ending: kind for kind, line in table.items() for ending in line.split()}


TEXT_ENDINGS: Mapping[str, str] = _endings(
    {
        TEXT: "txt text log adoc asciidoc asc nfo me 1st srt vtt tex bib",
        MARKDOWN: "md markdown mdown mkd mdx qmd rmd",
        HTML: "html htm xhtml xht shtml",
        RST: "rst rest",
        ORG: "org",
        CSV: "csv",
        TSV: "tsv tab",
        JSON: "json geojson jsonld webmanifest topojson har",
        JSON_LINES: "ndjson jsonl ldjson",
        NOTEBOOK: "ipynb",
        XML: (
            "xml rss atom rdf xsd xsl xslt wsdl opml docbook dbk dita ditamap kml gpx plist xliff "
            "tmx"
        ),
        SVG: "svg",
        MAIL: "eml mht mhtml",
        MBOX: "mbox",
        SOURCE_CODE: (
            "py pyi pyx js mjs cjs ts tsx jsx vue svelte java kt kts scala groovy gradle clj c h "
            "cc cpp cxx hh hpp hxx m mm cs fs vb go rs swift dart rb php pl pm lua r jl hs ml erl "
            "ex exs elm nim zig d pas asm s f f90 sh bash zsh fish ps1 bat cmd sql graphql proto "
            "thrift tf hcl css scss sass less yaml yml toml ini cfg conf env properties "
            "editorconfig cmake mk mak dockerfile diff patch awk sed vim el lisp scm"
        ),
    }
)
"""Of text, without the dot: the ending tells what the content does not."""

BINARY_ENDINGS: Mapping[str, str] = _endings(
    {
        DOCX: "docx docm dotx dotm",
        XLSX: "xlsx xlsm xltx xltm",
        XLSB: "xlsb",
        PPTX: "pptx pptm potx potm ppsx ppsm",
        ODT: "odt ott",
        ODS: "ods ots",
        ODP: "odp otp",
        ODG: "odg otg",
        EPUB: "epub",
        DOC: "doc dot",
        XLS: "xls xlt",
        PPT: "ppt pps pot",
        MSG: "msg",
    }
)
"""Of files in a container that can be too damaged to look inside."""
