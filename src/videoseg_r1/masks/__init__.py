"""Masks: run lengths, label pictures, the geometry that prompts need, and a store for the masks of a whole video.

Not here: polygons, drawing (`output.render`), scores (`metrics`).
"""

from videoseg_r1.masks.geometry import boundary, box_of, center_of, extent_of, iou_matrix, negative_point_of
from videoseg_r1.masks.labels import (
    DAVIS_PALETTE,
    VOID,
    LabelMap,
    davis_palette,
    from_label_map,
    label_map,
    resize_mask,
    union_of,
    write_label_png,
)
from videoseg_r1.masks.mask_picture import MaskPicture, read_mask, read_mask_picture
from videoseg_r1.masks.rle import MAX_PIXELS, Rle, check_rle, decode, encode
from videoseg_r1.masks.spool import MaskSpool

__all__ = [
    "DAVIS_PALETTE",
    "MAX_PIXELS",
    "VOID",
    "LabelMap",
    "MaskPicture",
    "MaskSpool",
    "Rle",
    "boundary",
    "box_of",
    "center_of",
    "check_rle",
    "davis_palette",
    "decode",
    "encode",
    "extent_of",
    "from_label_map",
    "iou_matrix",
    "label_map",
    "negative_point_of",
    "read_mask",
    "read_mask_picture",
    "resize_mask",
    "union_of",
    "write_label_png",
]
