"""What a warm look at many hosts costs, beside the tools that one would use instead. A command, not a test."""
