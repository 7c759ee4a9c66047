"""Media: containers behind whitelists, and one decode per title, in a child process, for all who look and listen."""
