"""``python -m bot`` is ``dockerhealth``."""

from bot.cli import main

main()
