"""Write the walks of a query and of a frame into docs/architecture.md, from a real run. About a minute.

python tools/write_walks.py
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def main() -> None:
    from helpers.walks import as_markdown, draw_clip, frame_walk, query_walk

    document = ROOT / "docs" / "architecture.md"
    text = document.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as room:
        clip = draw_clip(Path(room) / "clip.mp4")
        for name, walk in (("query", query_walk), ("frame", frame_walk)):
            lines = as_markdown(walk(clip, Path(room) / name))
            text = re.sub(
                rf"(<!-- walk:{name} -->\n).*?(<!-- end -->)", lambda found, new=lines: f"{found[1]}{new}\n{found[2]}", text, flags=re.S
            )
    document.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
