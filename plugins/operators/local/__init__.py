"""A step as a child process: forked where a fork server runs, else started."""
