"""From what was measured to what to expect: step time, memory, checkpoints at other sizes."""
