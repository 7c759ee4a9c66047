"""What an encoder has to beat before anyone says that it has learnt: guesses from the shots nearby, and a small GRU."""
