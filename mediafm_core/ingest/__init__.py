"""What arrives for a title: recognised, validated, hashed, and taken into the home or refused whole."""
