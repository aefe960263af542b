"""Files that are read by a process of their own, which may crash or never return."""
