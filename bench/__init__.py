"""The numbers: `./run bench`. Absolute figures drift between machines; compare within one run."""
