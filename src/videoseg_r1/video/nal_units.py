"""Find bytes that cannot be in the picture data of H.264 and HEVC.

A NAL unit never holds 00 00 00 nor 00 00 02, as encoders put a 03 between (ITU-T H.264 and H.265, 7.4.1 and 7.4.2); a hole in a file,
filled with zeros, does. Decoders take such bytes for the end of the unit. Not here: what the bytes mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from av.video.codeccontext import VideoCodecContext

_NONZERO = re.compile(rb"[^\x00]")


@dataclass(frozen=True, slots=True)
class NalUnits:
    """How a stream divides its packets into NAL units: `length_bytes` before each say how long it is, or 0: start codes are between."""

    codec: str
    length_bytes: int

    @classmethod
    def of(cls, context: VideoCodecContext) -> NalUnits | None:
        """Return how the packets of a decoder are divided; None for codecs without NAL units."""
        codec, setup = context.codec.canonical_name, context.extradata or b""
        place = {"h264": 4, "hevc": 21}.get(codec)  # of the length in avcC and hvcC, ISO/IEC 14496-15
        if place is None:
            return None
        return cls(codec, (setup[place] & 3) + 1 if len(setup) > place and setup[0] == 1 else 0)

    def are_broken(self, packet: bytes) -> bool:
        """Return whether a packet holds bytes that cannot be there."""
        if not self.length_bytes:
            return _is_broken(packet, 0, len(packet), with_start_codes=True)
        begin = self.length_bytes
        while begin < len(packet):
            end = min(len(packet), begin + int.from_bytes(packet[begin - self.length_bytes : begin], "big"))
            if self._is_slice(packet[begin]) and _is_broken(packet, begin, end, with_start_codes=False):
                return True
            begin = end + self.length_bytes
        return False

    def _is_slice(self, first: int) -> bool:
        return 1 <= first & 31 <= 5 if self.codec == "h264" else first >> 1 & 63 < 32


def _is_broken(data: bytes, begin: int, end: int, *, with_start_codes: bool) -> bool:
    if data.find(b"\0\0\2", begin, end) >= 0:
        return True
    while (found := data.find(b"\0\0\0", begin, end)) >= 0:
        following = _NONZERO.search(data, found + 3, end)
        # zeros may follow the last byte of a unit, and precede a start code
        if following is None:
            return False
        if not (with_start_codes and following[0] == b"\1"):
            return True
        begin = following.start()
    return False
