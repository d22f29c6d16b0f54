"""`python -m videoseg_r1` is `videoseg`."""

from __future__ import annotations

import sys

from videoseg_r1.cli import main

sys.exit(main())
