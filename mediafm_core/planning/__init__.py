"""State in, exact steps out: one anti-join of what is asked for against what is committed. Pure and light."""
