"""Predictions against a benchmark: where masks come from (`predictors`, `given`), how they are scored (`scoring`), and the `report`.

`run` puts a whole evaluation together, as `videoseg eval` does. Not here: which datasets there are (`videoseg_r1.datasets`), the
definitions of J and F (`videoseg_r1.metrics`).
"""

from videoseg_r1.evaluation.given import by_given_mask, evaluate_given, from_label_maps, given_samples
from videoseg_r1.evaluation.predictors import Prediction, Predictor, by_text, from_preds
from videoseg_r1.evaluation.report import Report, Row
from videoseg_r1.evaluation.scoring import evaluate, score_png_folders

__all__ = [
    "Prediction",
    "Predictor",
    "Report",
    "Row",
    "by_given_mask",
    "by_text",
    "evaluate",
    "evaluate_given",
    "from_label_maps",
    "from_preds",
    "given_samples",
    "score_png_folders",
]
