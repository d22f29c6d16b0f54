"""Prepares the queries of users for prompts. The wording stays: case and punctuation are kept as written."""

from __future__ import annotations

import logging
import re
import unicodedata

from videoseg_r1.config import MAX_QUERY_CHARS
from videoseg_r1.errors import InvalidQuery

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_TAG = re.compile(r"<([^<>‹›\s]{1,64})>")

_log = logging.getLogger(__name__)


def clean_query(text: str, *, max_chars: int = MAX_QUERY_CHARS) -> str:
    """Return the sentence as it may go into a prompt: NFC, single blanks, no model tags.

    Newlines and tabs count as blanks. Tags such as `<|im_start|>`, `<think>` or `<image>` are kept as text with other brackets
    (`neutralize_tags`), which is logged. Right-to-left text and emoji are fine.

    Raises: InvalidQuery: nothing visible, more than `max_chars` characters, or a control character.
    """
    bad = _CONTROL.search(text)
    if bad:
        raise InvalidQuery(
            "the query holds a control character",
            where=f"U+{ord(bad.group()):04X} at position {bad.start()}, counted from 0",
            why="only newline, carriage return and tab are accepted, as blanks",
            fix="remove this character",
        )
    words = " ".join(text.split())
    _check_length(words, max_chars)  # before NFC, whose cost is quadratic in a run of combining marks
    query, tags = neutralize_tags(unicodedata.normalize("NFC", words))
    _check_length(query, max_chars)  # NFC can make a text longer
    if not any(unicodedata.category(char)[0] in "LNSP" for char in query):
        raise InvalidQuery("the query is empty", why="it has no visible character", fix="say what to look for, e.g. 'the dog on the left'")
    if tags:
        _log.warning("model tags in the query were turned into plain text: %s", ", ".join(tags))
    return query


def _check_length(text: str, max_chars: int) -> None:
    if len(text) > max_chars:
        why = f"{len(text)} characters, the limit is {max_chars}"
        raise InvalidQuery("the query is too long", why=why, fix="shorten it or raise the limit")


def neutralize_tags(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with every `<tag>` written as `‹tag›`, and the tags that were found, in order.

    No tokenizer or parser here knows the other brackets, so what looks like a tag stays what it is: text. Replacing, unlike
    deleting, cannot bring a new tag together from the pieces around it.
    """
    found = tuple(match.group() for match in _TAG.finditer(text))
    return _TAG.sub("‹\\1›", text), found
