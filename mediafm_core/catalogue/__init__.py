"""The records of a catalogue: plain immutable values that turn into JSON and back.

What they describe is computed in the rooms above.
"""
