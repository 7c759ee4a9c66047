"""Reading a catalogue: titles, clips in context, what is similar. Needs a URL, and no database."""
