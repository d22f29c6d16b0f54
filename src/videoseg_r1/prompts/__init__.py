"""What is said to language models and read from them: safe queries, versioned prompts, and the writer and parser of replies.

A reply is untrusted text. It becomes `Reasoning` or `ParseFailure`, in time linear in its length, without evaluation of any part
of it; everything that was repaired on the way is written down in the notes.

Not here: which coordinates a model family writes (`chat.families`), how pictures are put into a prompt, retries (`stages`), rewards.
No torch. A query may still try to persuade a model; what is guaranteed is that it stays plain text.
"""

from videoseg_r1.prompts.parser import Answer, FailureKind, Mode, ParseFailure, parse_reply, read_answer
from videoseg_r1.prompts.queries import clean_query, neutralize_tags
from videoseg_r1.prompts.schema import MAX_ANSWER_CHARS, MAX_OBJECTS
from videoseg_r1.prompts.templates import (
    DIFFICULTY,
    FORMAT_REMINDER,
    INTERVAL_VOTE,
    INTERVAL_VOTE_SECONDS,
    POSITION_VOTE,
    REASONING,
    SELF_CHECK,
    TRANSCRIPT_INTERVAL,
    TRANSCRIPT_POSITION,
    TRANSCRIPT_REASONING,
    PromptTemplate,
    example_answer,
)
from videoseg_r1.prompts.votes import parse_interval, parse_numbers, parse_position, parse_ratings
from videoseg_r1.prompts.writer import format_reply, rounded_cue
from videoseg_r1.types import CANONICAL, Size

__all__ = [
    "CANONICAL",
    "DIFFICULTY",
    "FORMAT_REMINDER",
    "INTERVAL_VOTE",
    "INTERVAL_VOTE_SECONDS",
    "MAX_ANSWER_CHARS",
    "MAX_OBJECTS",
    "POSITION_VOTE",
    "REASONING",
    "SELF_CHECK",
    "TRANSCRIPT_INTERVAL",
    "TRANSCRIPT_POSITION",
    "TRANSCRIPT_REASONING",
    "Answer",
    "FailureKind",
    "Mode",
    "ParseFailure",
    "PromptTemplate",
    "Size",
    "clean_query",
    "example_answer",
    "format_reply",
    "neutralize_tags",
    "parse_interval",
    "parse_numbers",
    "parse_position",
    "parse_ratings",
    "parse_reply",
    "read_answer",
    "rounded_cue",
]
