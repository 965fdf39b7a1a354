"""Where dnndoctor meets other tools; each module is for one of them, and imports it only there."""
