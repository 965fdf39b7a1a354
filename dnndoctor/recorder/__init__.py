"""The flight recorder: the whole of a training at a cost that was promised before, and the last steps in full."""
