"""Stop unless every component is imported from this environment, not from a clone or from an environment below."""

import importlib
import sys
from pathlib import Path

for component in ("hub", "pretrain", "transfer", "export"):
    file = Path(importlib.import_module(f"goodviews.{component}").__file__ or "")
    if not file.is_relative_to(sys.prefix):
        sys.exit(f"goodviews.{component} comes from {file}, not from {sys.prefix}")
