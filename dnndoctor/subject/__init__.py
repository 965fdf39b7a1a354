"""Getting hold of a training loop: the child process that runs it, and the parent that watches over it."""
