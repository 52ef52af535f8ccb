"""Many hosts, a Slack, and the real bot between them, with faults in all of them for as long as one likes."""
