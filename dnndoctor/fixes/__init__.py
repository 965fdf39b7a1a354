"""Changes that rules ask for, made on the source: found, checked, shown as a patch, applied on request."""
