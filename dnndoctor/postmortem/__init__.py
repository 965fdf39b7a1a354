"""What a finished or failed run left behind: its logs and checkpoints, read into the schema of a recording."""
