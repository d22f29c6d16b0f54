"""The names that the detector knows: the 80 classes of COCO, in plain words.

Words are those of `lite.language.vocabulary` where it has one, and tell apart what COCO leaves to the context ("computer mouse"). Plain
data. Not here: which words of a sentence mean which name (`lite.language.words`), the 1000 classes of the classifier (`vocabulary`).
"""

from __future__ import annotations

DETECTED_NAMES = (
    "person",
    *("bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    *("traffic light", "fire hydrant", "stop sign", "parking meter", "bench"),
    *("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
    *("backpack", "umbrella", "handbag", "tie", "suitcase"),
    *("frisbee", "skis", "snowboard", "ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket"),
    *("bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl"),
    *("banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake"),
    *("chair", "sofa", "potted plant", "bed", "table", "toilet"),
    *("television", "laptop", "computer mouse", "remote control", "computer keyboard", "phone"),
    *("microwave", "oven", "toaster", "sink", "refrigerator"),
    *("book", "clock", "vase", "scissors", "teddy bear", "hair dryer", "toothbrush"),
)
"""In the order of the detector's scores."""
