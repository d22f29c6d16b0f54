"""Stage 3a: SAM 2 turns boxes and points on the target frame into masks.

The picture is encoded once; each object is decoded alone from that, so no object has an influence on another. Coordinates become
those of the network here and nowhere else. Not here: other frames (`stages.propagation.sam2`), the network itself (`models.sam2`).

Source: Ravi et al. 2024 (SAM 2); the reference predictor's rule: one mask where there is a box, otherwise the best of three.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from videoseg_r1.errors import InvalidPrompt
from videoseg_r1.models.sam2 import Sam2Engine, at_size
from videoseg_r1.types import BoolMask, Cue, Frame

_POSITIVE, _NEGATIVE = 1, 0


class Sam2Segmenter:
    """A `Segmenter` on SAM 2 or EdgeTAM.

    Args:
        engine: an engine of kind "image".
    """

    def __init__(self, engine: Sam2Engine) -> None:
        self._engine = engine

    @property
    def notes(self) -> tuple[str, ...]:
        """What was given up so far, for the trace."""
        return self._engine.notes

    def segment(self, frame: Frame, cues: Sequence[Cue]) -> BoolMask:
        """Return bool (N, H, W), one mask per cue in their order, at the size of the frame; empty where nothing was found.

        Args:
            frame: the frame the cues are for.
            cues: a box, positive points, or both, and negative points; in pixels of the frame.
        Raises: InvalidPrompt: a cue without box and positive point. ResourceError: memory ran out. ModelError: not finite.
        """
        for cue in cues:
            if cue.box is None and not cue.points:
                raise InvalidPrompt(
                    "a cue needs a box or a point", where=f"frame {frame.index}", fix="give --box x1,y1,x2,y2 or --point x,y"
                )
        size = (frame.rgb.shape[0], frame.rgb.shape[1])
        if not cues:
            return np.zeros((0, *size), np.bool_)
        logits = self._engine.run(lambda: self._logits(frame, cues))
        return np.stack([at_size(one, size).numpy() > 0 for one in logits])

    def _logits(self, frame: Frame, cues: Sequence[Cue]) -> torch.Tensor:
        """Return the mask logits (N, h, w), float32 on the CPU."""

        def compute() -> torch.Tensor:
            embeddings = self._engine.network.get_image_embeddings(self._engine.pixels(frame.rgb))
            return torch.stack([self._decode(embeddings, frame, cue) for cue in cues]).float().cpu()

        return self._engine.finite(compute, lambda logits: bool(torch.isfinite(logits).all()))

    def _decode(self, embeddings: list[torch.Tensor], frame: Frame, cue: Cue) -> torch.Tensor:
        prompt = {name: value.to(self._engine.device) for name, value in prompt_of(cue, frame, self._engine.side).items()}
        output = self._engine.network(image_embeddings=embeddings, multimask_output=cue.box is None, **prompt)
        best = int(output.iou_scores[0, 0].argmax())
        return output.pred_masks[0, 0, best]


def prompt_of(cue: Cue, frame: Frame, side: int) -> dict[str, torch.Tensor]:
    """Return a cue as the network's arguments: points (1, 1, P, 2), labels (1, 1, P), boxes (1, 1, 4), in pixels of its input."""
    points = [*cue.points, *cue.neg_points]
    height, width = frame.rgb.shape[:2]
    scale = torch.tensor([side / width, side / height], dtype=torch.float32)
    prompt: dict[str, torch.Tensor] = {}
    if points:
        prompt["input_points"] = torch.tensor([[[[p.x, p.y] for p in points]]], dtype=torch.float32) * scale
        prompt["input_labels"] = torch.tensor([[[_POSITIVE] * len(cue.points) + [_NEGATIVE] * len(cue.neg_points)]])
    if cue.box is not None:
        box = cue.box
        prompt["input_boxes"] = torch.tensor([[[box.x1, box.y1, box.x2, box.y2]]], dtype=torch.float32) * scale.repeat(2)
    return prompt
