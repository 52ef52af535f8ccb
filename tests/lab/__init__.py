"""Real hosts to test against: systemd, sshd, firewalld, dockerd and a registry container, each its own machine."""
