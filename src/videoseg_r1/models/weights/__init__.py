"""The weights that presets need beyond what is installed: which files, where they lie, and whether they are the right ones.

Not here: the networks, and weights that come inside Python packages (`lite`).
"""

from videoseg_r1.models.weights.files import Verdict, folder_of, locate, missing_files, models_folder, verify
from videoseg_r1.models.weights.table import MODELS, ModelFile, ModelRef

__all__ = [
    "MODELS",
    "ModelFile",
    "ModelRef",
    "Verdict",
    "folder_of",
    "locate",
    "missing_files",
    "models_folder",
    "verify",
]
