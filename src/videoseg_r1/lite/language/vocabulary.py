"""The names that perception knows: the 1000 ImageNet classes, and everyday concepts, which are groups of classes.

ImageNet has no class for a person, a goat or a cart. A concept lists the classes that look like it or come with it (a person
wears, holds, rides or plays something), so the evidence for a concept is the sum of their probabilities. Plain data, written for this
package; numbers are the usual ImageNet-1k positions. Not here: how words are matched to names (`words`).
"""

from __future__ import annotations

import runpy
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from videoseg_r1.errors import ModelError

NUM_CLASSES = 1000


class Concept(NamedTuple):
    """`names`: words for it, the first is used in texts. `classes`: "a-b" ranges and single positions. `parent`: wider concept."""

    names: str
    classes: str
    parent: str = ""


_PERSON = (
    "399-401 411 413 416 420 422 429 430 432-433 439 445 452 456-457 459 461 465 474 486 501 513-515 518 524 529 541 543 546 558 560 "
    "566 568 570 578 593-594 601-602 608 610 614-615 617 638-639 641 643 650 652 655 658 667 676 678 683 689 691 693 697 699 701-702 "
    "715 722 735 747 752 763-764 768 770 774-776 785 795-797 801 805-806 808 819 824 830 834 836-837 841-843 852 869 875 880 887 "
    "889-890 903 906 981-983"
)

CONCEPTS = (
    Concept("animal, creature, living thing, beast", "0-397 537"),
    Concept("person, man, woman, human, people", _PERSON),
    Concept(
        "vehicle", "407-408 436 468 511 555 569 573 575 586 595 609 627 654 656 661 665 670-671 675 705 717 734 751 757 802-803 817 864-867"
    ),
    Concept("boy, girl, child, kid, baby", _PERSON, "person"),
    Concept("athlete, player, dancer, performer, skater, jumper, climber, runner", _PERSON, "person"),
    Concept("rider, driver, pilot, crew, cyclist, skier, surfer, passenger", _PERSON, "person"),
    Concept("bird", "7-24 80-100 127-146", "animal"),
    Concept("swan, goose, duck", "97-100", "bird"),
    Concept("chicken, hen, rooster", "7-8", "bird"),
    Concept("parrot", "87-90", "bird"),
    Concept("owl", "24", "bird"),
    Concept("eagle, hawk, vulture", "21-23", "bird"),
    Concept("fish", "0-6 389-397", "animal"),
    Concept("shark", "2-4", "fish"),
    Concept("frog, toad", "30-32", "animal"),
    Concept("turtle, tortoise", "33-37", "animal"),
    Concept("lizard, reptile", "38-50", "animal"),
    Concept("snake", "52-68", "animal"),
    Concept("spider", "72-77", "animal"),
    Concept("insect, bug, beetle", "300-326", "animal"),
    Concept("butterfly, moth", "321-326", "insect"),
    Concept("crab, lobster", "118-124", "animal"),
    Concept("whale, dolphin, seal", "147-150", "animal"),
    Concept("dog, puppy, hound", "151-268", "animal"),
    Concept("wolf, fox, coyote", "269-280", "animal"),
    Concept("cat, kitten", "281-285", "animal"),
    Concept("lion, tiger, leopard, big cat", "286-293", "animal"),
    Concept("bear, panda", "294-297 388", "animal"),
    Concept("rabbit, hare, bunny", "330-332", "animal"),
    Concept("mouse, squirrel, hamster, rodent", "333-338", "animal"),
    Concept("horse, pony, foal", "339 603", "animal"),
    Concept("zebra", "340", "animal"),
    Concept("pig, boar", "341-342", "animal"),
    Concept("hippopotamus, rhinoceros", "344", "animal"),
    Concept("cow, bull, cattle, buffalo", "345-347 690", "animal"),
    Concept("goat, sheep, ram, lamb", "348-350", "animal"),
    Concept("deer, antelope, gazelle", "351-353", "animal"),
    Concept("camel, llama", "354-355", "animal"),
    Concept("elephant", "385-386", "animal"),
    Concept("monkey, ape, gorilla, chimpanzee", "365-384", "animal"),
    Concept("car, automobile, sedan, hatchback, van", "407 436 468 511 609 627 656 661 675 717 734 751 817", "vehicle"),
    Concept("truck, lorry, fire engine", "555 569 586 675 717 864 867", "vehicle"),
    Concept("bus, coach", "654 779 874", "vehicle"),
    Concept("train, tram, locomotive", "466 547 565 705 820 829", "vehicle"),
    Concept("motorcycle, motorbike, scooter", "665 670", "vehicle"),
    Concept("bicycle, bike", "444 671 880", "vehicle"),
    Concept("cart, wagon, kart, wheelbarrow, sled", "428 450 537 573 575 603 612 690 791 870", "vehicle"),
    Concept("tractor, digger, excavator", "595 730 856 866", "vehicle"),
    Concept("airplane, aircraft, jet, helicopter", "404 895", "vehicle"),
    Concept("balloon, airship", "405 417", "vehicle"),
    Concept("parachute, paraglider, glider", "701", ""),
    Concept("boat, ship, canoe, yacht", "403 472 484 510 554 576 625 628 724 780 814 833 871 914", "vehicle"),
    Concept("ball", "429-430 522 574 722 768 805 852 890", ""),
    Concept("chair, table, sofa, furniture", "423 526 532 559 703 765 831 857", ""),
    Concept("musical instrument, guitar, piano", "401-402 420 432 486 513 541 546 558 566 579 593-594 683 776 875 881 889", ""),
    Concept("food, meal, dish", "924-969", ""),
    Concept("fruit", "948-957", "food"),
    Concept("flower", "984-986", ""),
    Concept("mushroom", "947 991-997", ""),
    Concept("house, building, church, castle", "425 449 483 497-498 500 663 668 698 832", ""),
    Concept("computer, screen, phone", "487 508 527-528 590 620 664 681 707 761 782 851", ""),
    Concept("bottle, cup, glass", "438 440-441 504 737 898-899 901 907 968", ""),
)


@lru_cache(maxsize=1)
def class_names() -> tuple[str, ...]:
    """Return the 1000 class names in the order of the classifier, from torchvision's table.

    The file is run by itself: importing torchvision for a list of words would take seconds.
    Raises: ModelError: torchvision has no such table.
    """
    package = find_spec("torchvision")
    folders = list(package.submodule_search_locations or ()) if package else []
    path = Path(folders[0]) / "models" / "_meta.py" if folders else Path("torchvision")
    try:
        names = tuple(map(str, runpy.run_path(str(path))["_IMAGENET_CATEGORIES"]))
    except (OSError, KeyError) as error:
        raise ModelError(
            "The names of the classes cannot be read", where=str(path), why=repr(error), fix="pip install torchvision"
        ) from error
    if len(names) != NUM_CLASSES:
        raise ModelError("The names of the classes are not those of ImageNet-1k", where=str(path), why=f"there are {len(names)}")
    return names


@lru_cache(maxsize=1)
def membership() -> npt.NDArray[np.float32]:
    """Return (1000, 1000 + concepts) float32: 1 where a class counts as evidence for an entry of the vocabulary."""
    table = np.zeros((NUM_CLASSES, NUM_CLASSES + len(CONCEPTS)), np.float32)
    table[:, :NUM_CLASSES] = np.eye(NUM_CLASSES, dtype=np.float32)
    for column, concept in enumerate(CONCEPTS, NUM_CLASSES):
        table[_positions(concept), column] = 1
    positions = {concept.names.split(",")[0]: column for column, concept in enumerate(CONCEPTS, NUM_CLASSES)}
    for column, concept in reversed(list(enumerate(CONCEPTS, NUM_CLASSES))):
        if concept.parent:  # whatever counts for the narrow concept counts for the wide one
            parent = positions[concept.parent]
            table[:, parent] = np.maximum(table[:, parent], table[:, column])
    return table


@lru_cache(maxsize=NUM_CLASSES)
def narrow_concept(name: str) -> str:
    """Return the everyday word for a class, of the smallest concept that has it; the name itself where none has."""
    position = class_names().index(name)
    having = [concept for concept in CONCEPTS if position in _positions(concept)]
    return min(having, key=lambda concept: len(_positions(concept))).names.split(",")[0] if having else name


def _positions(concept: Concept) -> list[int]:
    spans = [part.partition("-") for part in concept.classes.split()]
    return [n for first, _, last in spans for n in range(int(first), int(last or first) + 1)]
