"""Errors that are told apart wherever they end up."""


class PassingError(Exception):
    """What passes, and is no fault of dockerhealth's: its text says all, and a traceback would say nothing."""
