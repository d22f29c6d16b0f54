"""The table of models: id, pinned revision, licence, and the SHA-256 and size of each file.

A hash or size that nobody published stands as None: such a file is trusted on its first download, and its hash is kept beside it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from videoseg_r1.errors import UnknownName


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model; `sha256` and `num_bytes` are None where they are not pinned."""

    name: str
    sha256: str | None = None
    num_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Weights by their exact version.

    Attributes:
        name: what it is called here.
        model_id: owner/name where it comes from.
        revision: commit on the hub, or tag of the release; None means not pinned, the newest is taken.
        licence: SPDX name.
        files: what is needed of it.
        num_bytes: about the size of a download.
        host: "hub" is huggingface.co, "release" a GitHub release.
    """

    name: str
    model_id: str
    revision: str | None
    licence: str
    files: tuple[ModelFile, ...]
    num_bytes: int
    host: Literal["hub", "release"] = "hub"

    def url(self, file: ModelFile) -> str:
        """Return where a file comes from; $HF_ENDPOINT stands for the hub, where it is set."""
        if self.host == "release":
            return f"https://github.com/{self.model_id}/releases/download/{self.revision}/{file.name}"
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        return f"{endpoint}/{self.model_id}/resolve/{self.revision or 'main'}/{file.name}"


# the same two files in every SAM 2.1 repository, and the second in EdgeTAM's too
_PREPROCESSOR = ModelFile("preprocessor_config.json", "6ebf229ee259368ce4a8d4f2fe893a72b053023710853e257253939e601f583d", 683)
_PROCESSOR = ModelFile("processor_config.json", "f8a68e865cfad115c1c2763f3d93eca7b1c622da06da2a9273eb437fb2389b6d", 95)

MODELS: dict[str, ModelRef] = {
    ref.name: ref
    for ref in (
        ModelRef(
            "sam2.1-large",
            "facebook/sam2.1-hiera-large",
            "665f8e2ad61cf5f53d65644ff27c8ee525124610",
            "Apache-2.0",
            (
                ModelFile("config.json", "00446988cf4d617118d2d347eabe2c46aebed744628facdd540508be30b69ec3", 5705),
                ModelFile("model.safetensors", "dc407dce21301fd94abb395c5099b4f2c455fdc8a8f261ac3d0ea6d4cd197230", 897_897_416),
                _PREPROCESSOR,
                _PROCESSOR,
            ),
            897_903_899,
        ),
        ModelRef(
            "sam2.1-tiny",
            "facebook/sam2.1-hiera-tiny",
            "de431c4043854a71d8101e17995dfe596bf101a5",
            "Apache-2.0",
            (
                ModelFile("config.json", "860aff9751b139d83a4ad7df1e5535416fded533e0ead02625edbefcb9953cce", 5695),
                ModelFile("model.safetensors", "48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7", 155_908_064),
                _PREPROCESSOR,
                _PROCESSOR,
            ),
            155_914_537,
        ),
        ModelRef(
            "edgetam",
            "yonigozlan/EdgeTAM-hf",
            "c266ce53b3fc00f0f495b583f6a116c4e57f53bb",
            "Apache-2.0",
            (
                ModelFile("config.json", "0827d003132f67efc496928f4fe5dd4125fcac518950c4eabe1d1f85e245c82a"),
                ModelFile("model.safetensors", "8858f8e4757b0b96dab8763f296ecffd845efbbbf698f64163cfa20a63d5fff4", 55_912_824),
                ModelFile("preprocessor_config.json", "247f7be8f3979e98bc8e89b94c3e6542f6f1506070c97fbcc983f53a64a9bf86"),
                _PROCESSOR,
            ),
            55_920_000,
        ),
        # the release page states no hash
        ModelRef("xmem", "hkchengrex/XMem", "v1.0", "MIT", (ModelFile("XMem.pth"),), 249_000_000, "release"),
    )
}

PRESET_MODELS: dict[str, tuple[str, ...]] = {
    "lite": (),
    "3b": ("sam2.1-large", "xmem"),
    "7b": ("sam2.1-large", "xmem"),
}
"""What the stage 3 of each preset needs; nothing where the weights are installed with the package."""


def find_models(names: Iterable[str]) -> list[ModelRef]:
    """Return the models of these names, each once; a preset stands for what it needs.

    Raises: UnknownName: neither a preset nor a model.
    """
    found: dict[str, ModelRef] = {}
    for name in names:
        if name not in MODELS and name not in PRESET_MODELS:
            known = [*PRESET_MODELS, *MODELS]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UnknownName("no such preset or model", where=name, fix=f"{hint}known are {', '.join(known)}")
        for model in PRESET_MODELS.get(name, (name,)):
            found[model] = MODELS[model]
    return list(found.values())
