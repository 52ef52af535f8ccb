"""``python -m bot`` is ``dockerhealth``."""

from bot.cli.main import main

main()
