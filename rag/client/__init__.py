"""Cumulo's Python client: `Cumulo` waits for answers, `AsyncCumulo` is awaited.

It needs a server and nothing of the server's code: importing it loads neither models nor
databases. What is sent and how replies are read is in `asking.py`, `keeping.py` and `replies.py`.
"""

from rag.client.async_client import AsyncCumulo
from rag.client.call import Upload
from rag.client.client import Cumulo
from rag.client.errors import (
    BadRequest,
    Conflict,
    CumuloError,
    NotFound,
    Overloaded,
    ServerFailure,
    TimedOut,
    Unavailable,
    UnexpectedReply,
    Unreachable,
)
from rag.client.events import Piece
from rag.client.kept import (
    ChunkReply,
    CollectionDeleted,
    CollectionReply,
    CollectionStats,
    DocumentReply,
    ReceiptReply,
    RunReply,
)
from rag.client.replies import (
    AnswerReply,
    Citation,
    ConversationReply,
    EmbeddingsReply,
    Hit,
    KeptReply,
    Location,
    Model,
    RerankReply,
    SearchReply,
)

__all__ = [
    "AnswerReply",
    "AsyncCumulo",
    "BadRequest",
    "ChunkReply",
    "Citation",
    "CollectionDeleted",
    "CollectionReply",
    "CollectionStats",
    "Conflict",
    "ConversationReply",
    "Cumulo",
    "CumuloError",
    "DocumentReply",
    "EmbeddingsReply",
    "Hit",
    "KeptReply",
    "Location",
    "Model",
    "NotFound",
    "Overloaded",
    "Piece",
    "ReceiptReply",
    "RerankReply",
    "RunReply",
    "SearchReply",
    "ServerFailure",
    "TimedOut",
    "Unavailable",
    "UnexpectedReply",
    "Unreachable",
    "Upload",
]
