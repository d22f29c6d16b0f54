"""Write the rows of docs/formats.md, by drawing and reading one file of each kind. A few seconds.

python tools/write_formats.py
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))


def main() -> None:
    from helpers.formats import formats_table

    document = ROOT / "docs" / "formats.md"
    with tempfile.TemporaryDirectory() as room:
        rows = formats_table(Path(room))
    text = document.read_text(encoding="utf-8")
    text = re.sub(r"(<!-- formats -->\n).*?(<!-- end -->)", lambda found: f"{found[1]}{rows}\n{found[2]}", text, flags=re.S)
    document.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
