"""What a command found out, for people and for machines: one layer that all of them share."""
