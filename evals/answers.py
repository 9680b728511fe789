"""Extractive answers on a question-answering dataset: do quotes land, do they hold the answer?

Run as `python -m evals.answers FOLDER`: a BEIR folder whose queries carry `metadata.answers`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from evals.beir import BeirDataset, load_beir
from evals.run import index_dataset
from rag.answering import Answerer, Asked
from rag.catalog.documents import get_document
from rag.runtime import Runtime, open_runtime
from rag.settings import load_settings
from rag.types import Answer, Query, local_owner


@dataclass(slots=True)
class AnswerScores:
    """What the answers to a dataset's questions were worth; shares are of all questions."""

    dataset: str
    questions: int = 0
    quotes: int = 0
    quotes_landed: int = 0
    """Quotes equal to text[start:end] of their document's parsed text."""
    answered: float = 0.0
    gold_in_answer: float = 0.0
    """One of the gold answers stands in the answer's text."""
    gold_in_first: float = 0.0
    """One of them stands in the first quote."""
    words: float = 0.0
    """Mean length of an answer."""


async def score_answers(runtime: Runtime, dataset: BeirDataset, limit: int) -> AnswerScores:
    """Ask the questions and compare quotes with texts, answers with gold spans."""
    collection, _ = await index_dataset(runtime, dataset)
    answerer = Answerer(runtime.retrieval, runtime, runtime.catalog, runtime.settings.answering)
    scores = AnswerScores(dataset.name)
    for question in dataset.questions[:limit]:
        asked = Asked(Query(question.text, collection.name, local_owner()))
        answer = await answerer.answer(asked)
        scores.questions += 1
        scores.quotes += len(answer.citations)
        scores.quotes_landed += await _landed(runtime, answer)
        scores.answered += not answer.abstained
        quotes = [citation.quote for citation in answer.citations]
        scores.gold_in_answer += _holds(" ".join(quotes), question.answers)
        scores.gold_in_first += _holds("".join(quotes[:1]), question.answers)
        scores.words += len(answer.text.split())
    for name in ("answered", "gold_in_answer", "gold_in_first", "words"):
        setattr(scores, name, round(getattr(scores, name) / max(1, scores.questions), 4))
    return scores


async def _landed(runtime: Runtime, answer: Answer) -> int:
    """Count the quotes that stand in the stored text where their citation says."""
    landed = 0
    for citation in answer.citations:
        stored = await runtime.catalog.read(get_document, citation.document_id, local_owner())
        text = await runtime.text(stored)
        landed += text[citation.start : citation.end] == citation.quote
    return landed


def _holds(text: str, answers: Sequence[str]) -> bool:
    folded = _folded(text)
    return any(_folded(answer) in folded for answer in answers)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def main() -> None:
    """Print the scores of one dataset as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=1_000_000, help="questions to ask")
    parser.add_argument("--data-dir", type=Path)
    given = parser.parse_args()

    async def work() -> AnswerScores:
        configured = load_settings(data_dir=given.data_dir)
        own = load_settings(data_dir=configured.data_dir / "evals")
        async with open_runtime(own) as runtime:
            return await score_answers(runtime, load_beir(given.folder), given.limit)

    print(json.dumps(asdict(asyncio.run(work())), indent=2))


if __name__ == "__main__":
    main()
