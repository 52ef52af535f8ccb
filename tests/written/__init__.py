"""Recordings of hosts that nobody here could boot, written from the documented formats of what they run."""
