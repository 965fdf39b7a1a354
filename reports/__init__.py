"""The presentation: a diagnosis in, text out. Each format is one module; none knows torch or a rule."""
