"""What can be seen of a run in the folder that it left."""
