"""The weights that presets need beyond what is installed: which files, where they lie, and whether they are the right ones.

Not here: the networks, and weights that come inside Python packages (`lite`).
"""

from videoseg_r1.models.weights.files import Verdict, folder_of, locate, missing_files, models_folder, verify
from videoseg_r1.models.weights.table import MODELS, PRESET_MODELS, ModelFile, ModelRef, find_models

__all__ = [
    "MODELS",
    "PRESET_MODELS",
    "ModelFile",
    "ModelRef",
    "Verdict",
    "find_models",
    "folder_of",
    "locate",
    "missing_files",
    "models_folder",
    "verify",
]
