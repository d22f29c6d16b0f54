"""Predictions against a benchmark: where masks come from (`predictors`), how they are scored (`scoring`), and the `report`.

`run` puts a whole evaluation together, as `videoseg eval` does. Not here: which datasets there are (`videoseg_r1.datasets`), the
definitions of J and F (`videoseg_r1.metrics`).
"""

from videoseg_r1.evaluation.predictors import Prediction, Predictor, by_given_mask, by_text, from_preds, one_per_clip
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
    "from_preds",
    "one_per_clip",
    "score_png_folders",
]
