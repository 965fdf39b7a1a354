"""The recording: everything measured, in one SQLite file; its schema, writer and reader."""
