"""Networks: the device and precision that they run in (`devices`), reading them (`pretrained`), SAM 2 (`sam2`), and the files of
their weights (`weights`).
"""
