"""A hundred hosts and the bot that watches them, each side in a process of its own: see test_a_hundred_hosts.py."""
