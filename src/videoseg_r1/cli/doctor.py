"""videoseg doctor: what is on this machine and what a run would miss, as text to paste into a report."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from videoseg_r1._version import __version__
from videoseg_r1.cli.terminal import Outcome, Terminal
from videoseg_r1.errors import VideosegError

if TYPE_CHECKING:
    from videoseg_r1.presets.model_info import ModelCard
    from videoseg_r1.presets.table import Preset

_PACKAGES = ("torch", "torchvision", "transformers", "av", "opencv-python-headless", "numpy", "pillow", "pycocotools", "pydantic", "typer")
ENCODERS = ("libx264", "libvpx-vp9", "prores_ks")
_GIB = 1 << 30


class _PresetFound(TypedDict):
    summary: str
    memory_gib: float
    models: list[str]
    weights: list[str]
    missing: list[str]


class _Found(TypedDict):
    videoseg: str
    python: str
    platform: str
    packages: dict[str, str | None]
    encoders: dict[str, bool]
    cores: int
    gpu: str | None
    memory_gib: dict[str, float]
    free_disk_gib: dict[str, float]
    presets: dict[str, _PresetFound]
    problems: list[str]


def doctor(_terminal: Terminal) -> Outcome:
    """Show versions, codecs, memory, disk and models. Exit code 1 says that the default preset misses something."""
    found = _look()
    return Outcome({**found}, _text(found), exit_code=int(bool(found["problems"])))


def _look() -> _Found:
    import torch

    from videoseg_r1.presets.table import DEFAULT_PRESET, PRESETS

    problems: list[str] = []
    found = _Found(
        videoseg=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: _version(name, problems) for name in _PACKAGES},
        encoders={name: _encoder(name, problems) for name in ENCODERS},
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        memory_gib=_memory(),
        free_disk_gib={path: round(shutil.disk_usage(path).free / _GIB, 1) for path in (str(Path.cwd()), tempfile.gettempdir())},
        presets={},
        problems=problems,
    )
    for name, preset in PRESETS.items():
        found["presets"][name] = _preset(preset)
    # the default must run; others are a choice, and what they miss is said beside them
    default = PRESETS[DEFAULT_PRESET]
    if found["memory_gib"].get("available", default.memory_gib) < default.memory_gib:
        problems.append(f"preset {DEFAULT_PRESET} needs {default.memory_gib} GiB of memory")
    problems += [f"preset {DEFAULT_PRESET}: {error}" for error in _weights(default)[1]]
    return found


def _version(package: str, problems: list[str]) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        problems.append(f"the package {package} is not installed")
        return None


def _encoder(name: str, problems: list[str]) -> bool:
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    try:
        Codec(name, "w")
    except UnknownCodecError:
        problems.append(f"PyAV has no encoder {name}")
        return False
    return True


def _memory() -> dict[str, float]:
    """Return total and available memory; nothing where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return {"total": round(kib["MemTotal"] / 2**20, 1), "available": round(kib["MemAvailable"] / 2**20, 1)}


def _cards(preset: Preset) -> tuple[ModelCard, ...]:
    from videoseg_r1.presets.propagators import PROPAGATORS

    return (*preset.models, *PROPAGATORS[preset.propagator].models)


def _weights(preset: Preset) -> tuple[list[str], list[VideosegError]]:
    """Return where the weights of a preset lie, and an error for each that is not here."""
    found: list[str] = []
    missing: list[VideosegError] = []
    for card in _cards(preset):
        try:
            found.append(str(card.weights()))
        except VideosegError as error:
            missing.append(error)
    return found, missing


def _preset(preset: Preset) -> _PresetFound:
    found, missing = _weights(preset)
    return _PresetFound(
        summary=preset.summary,
        memory_gib=preset.memory_gib,
        models=[f"{card.name} ({card.source}, {card.licence}): {card.role}" for card in _cards(preset)],
        weights=found,
        missing=[error.where for error in missing],
    )


def _text(found: _Found) -> str:
    from videoseg_r1.presets.table import DEFAULT_PRESET

    lines = [f"videoseg {found['videoseg']}, Python {found['python']}, {found['platform']}"]
    lines += [f"{name:<24}{version or 'missing'}" for name, version in found["packages"].items()]
    lines += [f"encoder {name:<16}{'there' if there else 'missing'}" for name, there in found["encoders"].items()]
    lines += [f"{'cores':<24}{found['cores']}", f"{'GPU':<24}{found['gpu'] or 'none'}"]
    lines += [f"memory {key:<17}{amount} GiB" for key, amount in found["memory_gib"].items()]
    lines += [f"disk free {amount:>8} GiB     {folder}" for folder, amount in found["free_disk_gib"].items()]
    lines += ["", f"preset {DEFAULT_PRESET}, the default:", *_described(found["presets"][DEFAULT_PRESET])]
    lines += ["", "other presets, to choose by --preset:"]
    for name, preset in found["presets"].items():
        if name != DEFAULT_PRESET:
            lines += [f"{name:<24}{preset['summary']}; {preset['memory_gib']} GiB; {_readiness(preset)}"]
    lines += ["", *(f"PROBLEM {problem}" for problem in found["problems"]), *([] if found["problems"] else [_verdict(found["presets"])])]
    return "\n".join(lines)


def _described(preset: _PresetFound) -> list[str]:
    """A preset with its models, and where their weights are or should be."""
    lines = [f"  {preset['summary']}; {preset['memory_gib']} GiB"]
    parts = (("model", preset["models"]), ("weights", preset["weights"]), ("missing", preset["missing"]))
    return lines + [f"{key:>22}  {value}" for key, values in parts for value in values]


def _readiness(preset: _PresetFound) -> str:
    missing = len(preset["missing"])
    return f"its weights are not here ({missing} of {missing + len(preset['weights'])} missing)" if missing else "ready"


def _verdict(presets: dict[str, _PresetFound]) -> str:
    """The closing line where the default preset has all it needs."""
    lacking = [name for name, preset in presets.items() if preset["missing"]]
    rest = f"; these need weights that are not here: {', '.join(lacking)} (see `videoseg models list`)" if lacking else ""
    return f"everything that the default preset needs is here{rest}"
