"""Every error this package raises on purpose.

    VideosegError                     exit code  HTTP status
    ├── UsageError                            2          400
    │   ├── UnknownName                       2          400   preset, format, dataset, verb option
    │   ├── InvalidQuery                      2          400   empty, too long, control characters
    │   ├── InvalidPrompt                     2          400   box, point or mask that does not fit the video
    │   ├── InvalidConfig                     2          400
    │   └── OutputExists                      2          409
    ├── InputError                            3          422
    │   ├── SourceNotFound                    3          404
    │   ├── UnsupportedSource                 3          415
    │   ├── NoVideoStream                     3          422
    │   ├── CorruptVideo                      3          422   carries decoded and expected frame counts
    │   ├── LimitExceeded                     3          413
    │   ├── ShapeMismatch                     3          422
    │   └── InvalidDocument                   3          422   trace, result, expressions, configuration files
    ├── ModelError                            4          503
    │   └── WeightsMissing                    4          503
    ├── ResourceError                         5          507
    │   └── OutputError                       5          507   unwritable folder, full disk
    └── Cancelled                           130          499   raised by whoever is told of progress, to stop the work

A message says what failed, where, why, and what to do about it. Errors of foreign libraries are mapped to these where
they enter, so a caller needs one `except VideosegError`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MAX_NAMES = 24


class VideosegError(Exception):
    """Base of all errors of this package.

    Args:
        what: one short sentence: what failed.
        where: the file, frame, option or stage it failed at.
        why: the reason, as far as it is known.
        fix: what the user can do about it.
    """

    exit_code = 1
    http_status = 500

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        self.what, self.where, self.why, self.fix = what, where, why, fix
        super().__init__(what, where, why, fix)

    def __str__(self) -> str:
        head = f"{self.what}: {self.where}" if self.where else self.what
        tail = [part for part in (self.why, self.fix) if part]
        return "\n  ".join([head, *tail])

    def to_dict(self) -> dict[str, object]:
        """Return the error as plain data, for `--json`, journals and servers."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "why": self.why,
            "fix": self.fix,
            "exit_code": self.exit_code,
        }


class UsageError(VideosegError):
    """The call itself is wrong: an unknown name, an invalid value, or an output that exists."""

    exit_code, http_status = 2, 400


class UnknownName(UsageError):
    """A preset, format, dataset or stage of this name does not exist."""


def first_line(error: Exception) -> str:
    """Return the first line of what a foreign error or warning says, its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownName:
    """Return the error for a name that no table has; `kind` says what it should name: "preset"."""
    return UnknownName(f"no such {kind}", where=name, fix=name_hint(name, known))


def name_hint(name: str, known: Iterable[str]) -> str:
    """Return what a wrong name may have meant: the known name that is most like it, if any is, then the known names."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{f'did you mean {near[0]}? ' if near else ''}known are {', '.join(names[:_MAX_NAMES])}{more}"


class InvalidQuery(UsageError):
    """The sentence is empty, too long, or holds control characters."""


class InvalidPrompt(UsageError):
    """A box, point or mask does not fit the frame it is given for."""


class InvalidConfig(UsageError):
    """A configuration value has the wrong type or range."""


class OutputExists(UsageError):
    """The output is there already and overwriting was not asked for."""

    http_status = 409


class InputError(VideosegError):
    """The input cannot be used."""

    exit_code, http_status = 3, 422


class SourceNotFound(InputError):
    """There is nothing at this path, or it may not be read."""

    http_status = 404


class UnsupportedSource(InputError):
    """The content is of no format that is accepted here."""

    http_status = 415


class NoVideoStream(InputError):
    """The file opens but holds no pictures."""


class CorruptVideo(InputError):
    """Pictures are damaged or missing.

    Attributes:
        decoded: frames before the damage, which are good.
        expected: frames that the header claims; None when it does not say.
        decodable: frames that can be decoded at all, the damaged ones included.
        damaged: how many of these are damaged.
    """

    def __init__(
        self,
        what: str,
        *,
        decoded: int = 0,
        expected: int | None = None,
        decodable: int | None = None,
        damaged: int = 0,
        where: str = "",
        why: str = "",
        fix: str = "",
    ) -> None:
        super().__init__(what, where=where, why=why, fix=fix)
        self.decoded, self.expected, self.damaged = decoded, expected, damaged
        self.decodable = decoded if decodable is None else decodable

    def to_dict(self) -> dict[str, object]:
        counts = {"decoded": self.decoded, "expected": self.expected, "decodable": self.decodable, "damaged": self.damaged}
        return super().to_dict() | counts


class LimitExceeded(InputError):
    """A size, length or count is above the configured limit."""

    http_status = 413


class ShapeMismatch(InputError):
    """Two arrays that belong together differ in shape."""


class InvalidDocument(InputError):
    """A JSON or TOML document does not follow its schema."""


class ModelError(VideosegError):
    """A model cannot be loaded or failed while running."""

    exit_code, http_status = 4, 503


class WeightsMissing(ModelError):
    """The weights a preset needs are not on this machine."""


class ResourceError(VideosegError):
    """Memory or disk ran out."""

    exit_code, http_status = 5, 507


class OutputError(ResourceError):
    """The output folder cannot be written, or the disk is full."""


class Cancelled(VideosegError):
    """The work was stopped on request: a listener of progress raised this. What was opened for the work is closed by then."""

    exit_code, http_status = 130, 499
