"""The Dagster asset graph around `mediafm_core`, and the `mediafm` command."""
