"""``python -m fastnn``."""

from .app.cli import main

main()
