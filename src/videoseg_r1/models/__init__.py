"""Networks: their device and precision (`devices`), loading (`pretrained`), SAM 2 (`sam2`), and the files of their weights
(`weights`).
"""
