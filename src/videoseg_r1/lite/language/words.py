"""Parsing a query without a language model: which kind of thing it asks for, in which colour, place, size and motion.

The noun that the sentence is about is found by a few rules of English word order. The noun, its noun phrase and the whole sentence are
compared with the vocabulary by sentence embeddings. Negation, counting, the order of events, other languages, and facts about the world
beyond what the embeddings hold are out of reach; the trained reader is there for some of them. Not here: the vocabulary (`vocabulary`),
the embeddings (`sentences`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from videoseg_r1.lite.language.sentences import load_encoder
from videoseg_r1.lite.language.vocabulary import CONCEPTS, NUM_CLASSES, class_names

_TEMPERATURE = 0.04  # of the softmax over the vocabulary: synonyms share the weight, merely related names get little
_SHARES = (0.25, 0.25, 0.5)  # sentence, noun phrase, noun

_ARTICLES = frozenset(
    re.findall(r"\w+", "the a an all any two three four both of these those this that their his her its which what"),
)
_STOPS = frozenset(
    re.findall(
        r"\w+",
        "on in at with by to from along over under through behind beside near into out off down up across around between following "
        "towards toward onto above below before after during next that who which whose whom where when while or but is are was were "
        "would could might can will does do did has have had should may here there and including together",
    )
)
_OPENERS = frozenset(("a", "an", "the", "his", "her", "its", "their", "somebody", "something", "someone", "it", "them"))
_NO_NOUN = frozenset(
    ("one", "ones", "thing", "things", "object", "objects", "pair", "something", "anything", "participant", "participants")
)
_EACH = frozenset(("all", "both", "each", "every", "many", "several", "two", "three", "four"))
_PLURALS = frozenset(("people", "men", "women", "children"))
_NOT_VERBS = frozenset(("thing", "king", "wing", "ring", "building", "string", "duckling", "wedding", "painting"))

COLOURS: dict[str, tuple[str, ...]] = {
    "black": ("black",),
    "dark": ("black",),
    "white": ("white",),
    "pale": ("white", "tan"),
    "cream": ("white", "tan"),
    "grey": ("grey",),
    "gray": ("grey",),
    "silver": ("grey", "white"),
    "red": ("red",),
    "orange": ("orange",),
    "brown": ("brown",),
    "chestnut": ("brown",),
    "tan": ("tan", "brown"),
    "golden": ("tan", "orange"),
    "beige": ("tan",),
    "blond": ("tan",),
    "yellow": ("yellow",),
    "green": ("green",),
    "blue": ("blue",),
    "purple": ("purple",),
    "violet": ("purple",),
    "pink": ("pink",),
}

_PLACES = {
    "left": r"\b(?:on|at|in) the (?:far |very )?left\b|\bleft(?:most|-hand| half| side| corner| edge)\b|\bto the left of\b",
    "right": r"\b(?:on|at|in) the (?:far |very )?right\b|\bright(?:most|-hand| half| side| corner| edge)\b|\bto the right of\b",
    "top": r"\b(?:at|in) the (?:very )?top\b|\btop(?:most| half| corner| edge)\b|\bupper\b",
    "bottom": r"\b(?:at|in) the (?:very )?bottom\b|\bbottom(?:most| half| corner| edge)\b|\blower\b",
    "centre": r"\bin the (?:middle|centre|center)\b|\bcent(?:re|er)most\b|\bmiddle one\b",
    "front": r"\bforeground\b|\bin front\b(?! of)|\bclose(?:r|st)\b|\bnear(?:er|est)\b",
    "back": r"\bbackground\b|\bfarther\b|\bfarthest\b|\bfurthest\b|\bdistant\b|\bin the back\b",
}
_SIZES = {
    "large": r"\b(?:large|larger|largest|big|bigger|biggest|huge|tall|tallest|taller)\b",
    "small": r"\b(?:small|smaller|smallest|little|tiny|tiniest)\b",
}
_MOTIONS = {
    "right": r"\b(?:to|towards?|heading|going|moving|turn\w*|away to|off to) (?:the )?right\b(?! of)|\brightwards?\b",
    "left": r"\b(?:to|towards?|heading|going|moving|turn\w*|away to|off to) (?:the )?left\b(?! of)|\bleftwards?\b",
    "up": r"\bupwards?\b|\blift\w* off\b|\btak\w+ off\b|\bris(?:es|ing)\b|\bclimb\w*\b",
    "down": r"\bdownwards?\b|\bfall(?:s|ing)\b|\bdown the\b|\bdescend\w*\b",
    "nearer": r"\btowards? (?:the camera|us|the viewer)\b|\bapproach\w*\b|\bcom(?:es|ing) (?:closer|nearer)\b",
    "away": r"\baway\b(?! to)|\bfrom (?:the camera|us|the viewer)\b|\bturns its back\b",
    "still": r"\b(?:still|parked|stationary|motionless|unmoving)\b|\bnot moving\b",
    "moving": r"\b(?:walk|run|trot|gallop|jump|leap|swim|fly|drive|roll|race|danc|spin|rid|hover|glid|mov|chas)(?:s|es|n?ing|m?ing|p?ing)\b"
    r"|\bon the move\b",
}


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """What a sentence asks for.

    Attributes:
        text: the sentence.
        phrase, noun: what it is about ("the pale dog wearing a harness": "pale dog", "dog"); "" when it names nothing.
        weights: (1000 + concepts,) float32, how much each entry of the vocabulary answers to it, sums to 1; zeros when it names nothing.
        phrase_weights: the same from the noun phrase alone: what must be seen for the thing to be there.
        known: similarity of the noun or its phrase to the nearest entry of the vocabulary, -1..1: whether perception could name it.
        colours: names of `regions.PALETTE` asked for, one tuple of alternatives per colour word.
        places, sizes, motions: keys of the tables above whose words occur.
        several: whether more than one thing is asked for.
    """

    text: str
    phrase: str
    noun: str
    weights: npt.NDArray[np.float32]
    phrase_weights: npt.NDArray[np.float32]
    known: float
    colours: tuple[tuple[str, ...], ...]
    places: tuple[str, ...]
    sizes: tuple[str, ...]
    motions: tuple[str, ...]
    several: bool


@lru_cache(maxsize=64)
def understand(text: str) -> ParsedQuery:
    """Return what a sentence asks for. Raises: WeightsMissing, ModelError: the sentence embeddings cannot be loaded."""
    lowered = text.lower()
    phrase, noun = noun_phrase(lowered)
    weights = phrase_weights = np.zeros(NUM_CLASSES + len(CONCEPTS), np.float32)
    known = 0.0
    if noun:
        vectors = load_encoder().encode([lowered, phrase, noun])
        similar = np.stack([_similarities(vector) for vector in vectors])
        soft = np.exp((similar - similar.max(1, keepdims=True)) / _TEMPERATURE)
        soft /= soft.sum(1, keepdims=True)
        weights, phrase_weights = (np.asarray(_SHARES) @ soft).astype(np.float32), soft[1].astype(np.float32)
        known = float(similar[1:].max())
    words = re.findall(r"[a-z]+", lowered)
    return ParsedQuery(
        text=text,
        phrase=phrase,
        noun=noun,
        weights=weights,
        phrase_weights=phrase_weights,
        known=known,
        colours=tuple(dict.fromkeys(COLOURS[word] for word in words if word in COLOURS)),
        places=_found(_PLACES, lowered),
        sizes=_found(_SIZES, lowered),
        motions=_found(_MOTIONS, lowered),
        several=_is_of_several(lowered, noun),
    )


def noun_phrase(text: str) -> tuple[str, str]:
    """Return (noun phrase without article, its noun) of what the lower-case sentence is about, ("", "") if it names nothing.

    The phrase ends at the first preposition, pronoun, auxiliary, punctuation, or participle that opens a clause.
    """
    words = re.findall(r"[a-z][a-z'-]*", re.split(r"[;,.?!:]", text, maxsplit=1)[0])
    if words and words[0] in {"who", "whom", "whose"}:
        return "person", "person"
    while words and words[0] in _ARTICLES:
        words = words[1:]
    phrase: list[str] = []
    for position, word in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else ""
        if word == "and" and phrase and phrase[-1] in COLOURS and following:
            continue  # "the black and tan puppy"
        if word in _STOPS or _opens_clause(word, following, bool(phrase)):
            break
        phrase.append(word)
    if not phrase or phrase[0] in _NO_NOUN:
        person = len(words) > 1 and words[0] in _NO_NOUN and words[1] in {"who", "whose"}
        return ("person", "person") if person else ("", "")
    return " ".join(phrase), phrase[-1]


def _is_of_several(text: str, noun: str) -> bool:
    if "which of" in text:
        return False
    is_plural = noun in _PLURALS or (noun.endswith("s") and not noun.endswith(("ss", "us", "is")))
    return is_plural or not _EACH.isdisjoint(text.split()[:2])  # "all dogs", "find every dog"


def _opens_clause(word: str, following: str, started: bool) -> bool:
    ends = following in _STOPS or following in _OPENERS or following == "" or following.endswith("ly")
    if word.endswith("ing") and word not in _NOT_VERBS:
        return ends
    return started and word.endswith("ed") and (following in _STOPS or following == "")


def _found(table: dict[str, str], text: str) -> tuple[str, ...]:
    return tuple(name for name, pattern in table.items() if re.search(pattern, text))


def _similarities(vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the similarity of a text to every entry of the vocabulary: the best of the entry's names."""
    classes, concepts, owners = _vocabulary_vectors()
    best = np.full(len(CONCEPTS), -1.0, np.float32)
    np.maximum.at(best, owners, concepts @ vector)
    return np.concatenate([classes @ vector, best])


@lru_cache(maxsize=1)
def _vocabulary_vectors() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return vectors of the classes, of every name of the concepts, and which concept each of those belongs to."""
    names = [(name.strip(), index) for index, concept in enumerate(CONCEPTS) for name in concept.names.split(",")]
    vectors = load_encoder().encode([*class_names(), *(name for name, _ in names)])
    return vectors[:NUM_CLASSES], vectors[NUM_CLASSES:], np.array([index for _, index in names])
