"""Checkpoints on node-local storage first, copied to a partner node, drained in the background."""
