"""The vocabulary of the world: kinds of things, facts about them, and what they are used for. Plain data, written for this package.

A kind has an everyday name, and the ImageNet classes by which perception recognises it. A fact holds for the kinds listed and for no
other kind of this table, so that a question about it has one answer. Kinds and facts that are held out occur in no training sample, in
whatever role. Not here: scenes, wording of queries.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from videoseg_r1.lite.language.vocabulary import class_names


class ThingKind(NamedTuple):
    """One kind of thing.

    Attributes:
        name: the everyday word for it.
        classes: ImageNet names, "|" between them; of no other kind.
        categories: wider words, the widest first.
        colours: what it comes in, of `regions.PALETTE`.
        shape: silhouette that draws it.
        moves: whether it goes anywhere by itself.
        plural: "" for name + "s".
    """

    name: str
    classes: str
    categories: str
    colours: str
    shape: str
    moves: bool = True
    plural: str = ""


class Fact(NamedTuple):
    """`text` completes "the one that ..." or, if `is_use`, "what one could use to ..."; `kinds` are all that it holds for."""

    text: str
    kinds: str
    is_use: bool = False


def _span(first: int, last: int) -> str:
    """Return all ImageNet names between two positions, both included."""
    return "|".join(class_names()[first : last + 1])


_WORN = (
    "ballplayer|groom|scuba diver|jersey|jean|trench coat|sweatshirt|suit|bulletproof vest|cowboy hat|lab coat|military uniform|poncho|"
    "swimming trunks|cardigan|kimono|gown|miniskirt|academic gown|abaya|ski mask|crash helmet|running shoe|bow tie|Windsor tie|sunglasses"
)
"""Of a person the classifier knows what is worn."""
_FUR = "black white brown tan grey"
_PAINT = "black white grey red yellow green blue orange"

KINDS = (
    # all breeds but the one that has the name of a held-out kind in it
    ThingKind("dog", f"{_span(151, 187)}|{_span(189, 268)}", "animal", _FUR, "beast"),
    ThingKind("cat", "tabby|Persian cat|Siamese cat|Egyptian cat", "animal", "black white orange grey tan", "beast"),
    ThingKind("horse", "sorrel", "animal", "black white brown", "beast"),
    ThingKind("cow", "ox", "animal", "black white brown", "beast"),
    ThingKind("sheep", "ram|bighorn", "animal", "black white grey", "beast", plural="sheep"),
    ThingKind("pig", "hog|wild boar", "animal", "pink black brown", "beast"),
    ThingKind("zebra", "zebra", "animal", "white", "beast"),
    ThingKind("elephant", "Indian elephant|African elephant|tusker", "animal", "grey brown", "beast"),
    ThingKind("lion", "lion", "animal", "tan brown", "beast"),
    ThingKind("bear", "brown bear|American black bear|ice bear", "animal", "brown black white", "beast"),
    ThingKind("panda", "giant panda", "animal", "white", "beast"),
    ThingKind("wolf", "timber wolf|white wolf", "animal", "grey white black", "beast", plural="wolves"),
    ThingKind("rabbit", "wood rabbit|hare|Angora", "animal", _FUR, "beast"),
    ThingKind("goose", "goose", "animal bird", "white grey", "bird", plural="geese"),
    ThingKind("rooster", "cock", "animal bird", "red brown white", "bird"),
    ThingKind("hen", "hen", "animal bird", "white brown black", "bird"),
    ThingKind("eagle", "bald eagle", "animal bird", "brown black", "bird"),
    ThingKind("owl", "great grey owl", "animal bird", "grey brown white", "bird"),
    ThingKind("ostrich", "ostrich", "animal bird", "black grey", "bird", plural="ostriches"),
    ThingKind("peacock", "peacock", "animal bird", "blue green", "bird"),
    ThingKind("parrot", _span(87, 90), "animal bird", "red green blue grey", "bird"),
    ThingKind("goldfish", "goldfish", "animal fish", "orange red", "fish", plural="goldfish"),
    ThingKind("whale", "killer whale|grey whale", "animal", "black grey", "fish"),
    ThingKind("turtle", _span(33, 37), "animal", "green brown", "bug"),
    ThingKind("snake", _span(52, 68), "animal", "green black brown", "long"),
    ThingKind("frog", _span(30, 32), "animal", "green brown", "bug"),
    ThingKind("snail", "snail", "animal", "brown tan grey", "bug"),
    ThingKind("butterfly", _span(321, 326), "animal insect", "orange yellow blue white", "bug", plural="butterflies"),
    ThingKind("bee", "bee", "animal insect", "yellow", "bug"),
    ThingKind("person", _WORN, "person", "black white red blue grey", "person", plural="people"),
    ThingKind("car", "minivan|sports car|convertible|beach wagon|jeep", "vehicle", _PAINT, "car"),
    ThingKind("taxi", "cab", "vehicle", "yellow black white", "car"),
    ThingKind("ambulance", "ambulance", "vehicle", "white yellow", "truck"),
    ThingKind("truck", "trailer truck|garbage truck|moving van|tow truck", "vehicle", _PAINT, "truck"),
    ThingKind("bus", "school bus|minibus|trolleybus", "vehicle", "yellow red blue white", "truck", plural="buses"),
    ThingKind("motorcycle", "motor scooter|moped", "vehicle", "black red blue", "cycle"),
    ThingKind("train", "steam locomotive|electric locomotive|bullet train", "vehicle", "black red green blue", "truck"),
    ThingKind("tank", "tank", "vehicle", "green tan", "car"),
    ThingKind("airplane", "airliner|warplane", "vehicle aircraft", "white grey blue", "plane"),
    ThingKind("balloon", "balloon", "aircraft", "red yellow blue orange", "ball"),
    ThingKind("canoe", "canoe", "vehicle boat", "red green brown", "boat"),
    ThingKind("sailing boat", "yawl|trimaran|catamaran", "vehicle boat", "white blue red", "boat"),
    ThingKind("football", "soccer ball", "ball", "white", "ball"),
    ThingKind("tennis ball", "tennis ball", "ball", "yellow green", "ball"),
    ThingKind("guitar", "acoustic guitar|electric guitar", "musical_instrument", "brown black red", "long", False),
    ThingKind("piano", "grand piano|upright", "musical_instrument", "black brown white", "box", False),
    ThingKind("chair", "folding chair|rocking chair|barber chair", "piece_of_furniture", "brown black white", "box", False),
    ThingKind("table", "dining table|desk", "piece_of_furniture", "brown white black", "box", False),
    ThingKind("backpack", "backpack", "bag", "blue red black green", "box", False),
    ThingKind("cup", "cup|coffee mug", "vessel", "white red blue", "box", False),
    ThingKind("bottle", "water bottle|pop bottle|wine bottle", "vessel", "green blue brown", "long", False),
    ThingKind("hammer", "hammer", "tool", "black brown grey", "long", False),
    ThingKind("broom", "broom", "tool", "yellow brown red", "long", False),
    ThingKind("clock", "wall clock|analog clock", "device", "white black brown", "ball", False),
    ThingKind("candle", "candle", "light", "white red yellow", "long", False),
    ThingKind("banana", "banana", "food fruit", "yellow green", "long", False),
    ThingKind("lemon", "lemon", "food fruit", "yellow", "ball", False),
    ThingKind("strawberry", "strawberry", "food fruit", "red", "ball", False, "strawberries"),
    ThingKind("pizza", "pizza", "food", "orange red", "ball", False),
    ThingKind("ice cream", "ice cream", "food", "white pink brown", "ball", False),
    ThingKind("camel", "Arabian camel", "animal", "tan brown", "beast"),
    ThingKind("tiger", "tiger", "animal", "orange", "beast"),
    ThingKind("fox", "red fox|kit fox|Arctic fox", "animal", "orange grey white", "beast", plural="foxes"),
    ThingKind("gorilla", "gorilla", "animal", "black", "beast"),
    ThingKind("penguin", "king penguin", "animal bird", "black white", "bird"),
    ThingKind("flamingo", "flamingo", "animal bird", "pink orange", "bird", plural="flamingos"),
    ThingKind("shark", "great white shark|tiger shark", "animal fish", "grey white", "fish"),
    ThingKind("crab", "Dungeness crab|rock crab|fiddler crab", "animal", "red orange blue", "bug"),
    ThingKind("bicycle", "mountain bike", "vehicle", _PAINT, "cycle"),
    ThingKind("tractor", "tractor", "vehicle", "green red blue", "car"),
    ThingKind("fire engine", "fire engine", "vehicle", "red yellow", "truck"),
    ThingKind("violin", "violin", "musical_instrument", "brown black", "long", False),
    ThingKind("umbrella", "umbrella", "accessory", "black red blue yellow", "ball", False),
    ThingKind("laptop", "laptop|notebook", "device", "grey black white", "box", False),
    ThingKind("pineapple", "pineapple", "food fruit", "yellow brown", "ball", False),
)


def _read_facts() -> tuple[Fact, ...]:
    """Return the table beside this file: kinds, whether it says what they are good for, the text."""
    table = resources.files("videoseg_r1.training.world").joinpath("facts.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in table.splitlines()[1:]]
    return tuple(Fact(text, kinds, about == "use") for kinds, about, text in rows)


FACTS = _read_facts()

HELD_OUT_KINDS = frozenset(
    (
        *("camel", "tiger", "fox", "gorilla", "penguin", "flamingo", "shark", "crab"),
        *("bicycle", "tractor", "fire engine", "violin", "umbrella", "laptop", "pineapple"),
    )
)
FACT_KINDS = {fact.text: frozenset(fact.kinds.split("|")) for fact in FACTS}
HELD_OUT_FACTS = frozenset(text for text, known in FACT_KINDS.items() if known <= HELD_OUT_KINDS)


_USES = frozenset(fact.text for fact in FACTS if fact.is_use)
_IRREGULAR = {kind.name: kind.plural for kind in KINDS if kind.plural} | {
    "fish": "fish",
    "aircraft": "aircraft",
    "piece of furniture": "pieces of furniture",
    "food": "things to eat",
}


@lru_cache(maxsize=2)
def kinds(held_out: bool) -> tuple[ThingKind, ...]:
    """Return the kinds that are held out of training, or those that are not."""
    return tuple(kind for kind in KINDS if (kind.name in HELD_OUT_KINDS) == held_out)


@lru_cache(maxsize=2)
def facts(held_out: bool) -> tuple[Fact, ...]:
    """Return the facts that are held out of training, or those that are not."""
    return tuple(fact for fact in FACTS if (fact.text in HELD_OUT_FACTS) == held_out)


@lru_cache(maxsize=256)
def categories(kind: ThingKind) -> tuple[str, ...]:
    """Return the wider words for a kind, the widest first."""
    return tuple(word.replace("_", " ") for word in kind.categories.split())


def is_use(text: str) -> bool:
    """Return whether the text of a fact says what a thing is good for."""
    return text in _USES


def plural(word: str) -> str:
    """Return the plural of the name of a kind or category."""
    return _IRREGULAR.get(word, f"{word}s")


@lru_cache(maxsize=256)
def class_positions(kind: ThingKind) -> tuple[int, ...]:
    """Return the positions of its classes in the classifier's order. Raises ModelError: the names cannot be read."""
    return tuple(class_names().index(name) for name in kind.classes.split("|"))
