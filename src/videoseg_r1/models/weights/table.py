"""The table of models: id, pinned revision, licence, and the SHA-256 and size of each file.

A hash or size that nobody published stands as None: such a file is trusted on its first download, and its hash is kept beside it.
Those of the Qwen models were published by third parties for these commits.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model; `sha256` and `num_bytes` are None where they are not pinned."""

    name: str
    sha256: str | None = None
    num_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model whose weights are fetched, by its exact version.

    Attributes:
        name: what it is called here.
        model_id: owner/name where it comes from.
        revision: commit on the hub, or tag of the release; None means not pinned, the newest is taken.
        licence: SPDX name.
        files: the files that are needed.
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

_VOCAB = ModelFile("vocab.json", "ca10d7e9fb3ed18575dd1e277a2579c16d108e32f27439684afa0e10b1440910", 2_776_833)
_MERGES = ModelFile("merges.txt", "599bab54075088774b1733fde865d5bd747cbcc7a547c5bc12610e874e26f5e3", 1_671_839)
_QWEN3_VL = (
    ModelFile("chat_template.json", "6f8a6a55027e3da5160105556cda5dd69f6423f1c32645f6730d32de7773d0c4", 5502),
    ModelFile("preprocessor_config.json", "27225450ac9c6529872ee1924fcb0962ff5634834f817040f444118116f4e516", 390),
    ModelFile("video_preprocessor_config.json", "7768af27c1fafa9cc9011c1dc20067e03f8915e03b63504550e11d5066986d13", 385),
    ModelFile("tokenizer.json", "a5d85b6dcc535e6b93115a9ef287e6132fdbf30270da6218194ba742261173c7", 7_032_403),
    ModelFile("tokenizer_config.json", "c2da771801886ad9ae98181793ffd3dfb7f1af30f6f7c6a4e15d7dbba52e2399", 10_868),
    _VOCAB,
    _MERGES,
)
_INDEX = "model.safetensors.index.json"


def _not_pinned(*names: str) -> tuple[ModelFile, ...]:
    return tuple(ModelFile(name) for name in names)


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
        ModelRef(
            "qwen2.5-vl-3b",
            "Qwen/Qwen2.5-VL-3B-Instruct",
            "66285546d2b821cf421d4f5eb2576359d3770cd3",
            "LicenseRef-Qwen-Research",  # not for commercial use
            (
                *_not_pinned("config.json", "generation_config.json", "chat_template.json", "preprocessor_config.json"),
                *_not_pinned("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"),
                *_not_pinned(_INDEX, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
            ),
            7_520_919_614,
        ),
        ModelRef(
            "qwen2.5-vl-7b",
            "Qwen/Qwen2.5-VL-7B-Instruct",
            "cc594898137f460bfe9f0759e9844b3ce807cfb5",
            "Apache-2.0",
            (
                ModelFile("config.json", "77d9ec7321cc572e3579e2c84799c9cadaded63c49ce93b101733349fc330c43", 1374),
                ModelFile("generation_config.json", "0a3aea82869fe29f20dc95ccf3e2bcff380eca1f5ad6447a4a4b37110b08e43e", 216),
                ModelFile("chat_template.json", "ad60d90252ed0b0705ba14e2d0ad0fec0beac1ea955642b54059b36052d8bc96", 1050),
                ModelFile("preprocessor_config.json", "f2058c716eef96ccaed1cc1e2d0c08306b62586d535b28d9d08e691b2fab7ca0", 350),
                ModelFile("tokenizer.json", "c0382117ea329cdf097041132f6d735924b697924d6f6fc3945713e96ce87539", 7_031_645),
                ModelFile("tokenizer_config.json", "4abd3520120e266da84c0864fee064d1fb10806f02225911a47253dd38dc5f56", 5702),
                _VOCAB,
                _MERGES,
                ModelFile(_INDEX, "73b333b0b16e5286ddba615d2caebcd495cf7e616f52eb217a81781393d79de9", 57_619),
                ModelFile(
                    "model-00001-of-00005.safetensors", "e97b877e47fde53a6c6e77aafb36e58e91ee9d95c4a3eeac6f1b5c0e6a1c986e", 3_900_233_256
                ),
                ModelFile(
                    "model-00002-of-00005.safetensors", "a9a300a43b4724eee2abe7c18ceb26768d0ab011eb0cad19d9bfd2476a24d024", 3_864_726_320
                ),
                ModelFile(
                    "model-00003-of-00005.safetensors", "111223d173e00bbee81cba1216fad28668df3476706b7fd26f4d5b50f8b3a507", 3_864_726_424
                ),
                ModelFile(
                    "model-00004-of-00005.safetensors", "ef47f634fa57d46ee134edcc09f34085a47da1e16c12a2abe0d67118be6d72ed", 3_864_733_680
                ),
                ModelFile(
                    "model-00005-of-00005.safetensors", "0c859795ad3a627a9b95bcb762e059d5b768a4a36fdd4affeff269d93fdecc67", 1_089_994_880
                ),
            ),
            16_595_981_281,
        ),
        ModelRef(
            "qwen3-vl-2b",
            "Qwen/Qwen3-VL-2B-Instruct",
            "89644892e4d85e24eaac8bacfd4f463576704203",
            "Apache-2.0",
            (
                ModelFile("config.json", "bec4b3d446efa05807365c9e1cec03ac590836879d02f3a6da879971154bdd3b", 1505),
                ModelFile("generation_config.json", "1e241830b48b397cb0900101421df5450baddc7adf01e5fc86b5615865f3bae4", 269),
                *_QWEN3_VL,
                ModelFile("model.safetensors", "7de1838c87a5349b016c26a1c3f7d2bc400a3d485f95ef39a7059ffd734977a0", 4_255_140_312),
            ),
            4_266_648_961,
        ),
        ModelRef(
            "qwen3-vl-4b",
            "Qwen/Qwen3-VL-4B-Instruct",
            "ebb281ec70b05090aa6165b016eac8ec08e71b17",
            "Apache-2.0",
            (
                ModelFile("config.json", "edac7703329133edfc53e46ac0081835144c99d7eebf28b71c732694d435224d", 1505),
                ModelFile("generation_config.json", "8469742d1fce0de951c8909b26a2c0c0d8490837ce476efb114da9e0cefc4d44", 269),
                *_QWEN3_VL,
                ModelFile(_INDEX, "58a7841d7bff2548dd91577d216274a83cf1b500bc6a534b809d6c1b1707cf2b", 64_742),
                ModelFile(
                    "model-00001-of-00002.safetensors", "30a01a0556622645a3cce87b655bbbbbc1f170c196099f1b666c93202c3339a9", 4_967_229_296
                ),
                ModelFile(
                    "model-00002-of-00002.safetensors", "046296a2a387efb43b0c997d5833c789604d168834f6e0d3064bf7bb13d002a6", 3_908_490_048
                ),
            ),
            8_887_292_732,
        ),
        ModelRef(
            "qwen3-vl-8b",
            "Qwen/Qwen3-VL-8B-Instruct",
            "0c351dd01ed87e9c1b53cbc748cba10e6187ff3b",
            "Apache-2.0",
            (
                *_not_pinned("generation_config.json", "chat_template.json", "video_preprocessor_config.json"),
                *_not_pinned("tokenizer_config.json", "vocab.json", "merges.txt"),
                ModelFile("config.json", None, 1474),
                ModelFile("preprocessor_config.json", None, 390),
                ModelFile("tokenizer.json", None, 7_032_403),
                ModelFile(_INDEX, None, 67_759),
                ModelFile("model-00001-of-00004.safetensors", None, 4_902_275_944),
                ModelFile("model-00002-of-00004.safetensors", None, 4_915_962_496),
                ModelFile("model-00003-of-00004.safetensors", None, 4_999_831_048),
                ModelFile("model-00004-of-00004.safetensors", None, 2_716_270_024),
            ),
            17_545_915_883,
        ),
    )
}
