"""Unimodal encoders: what is seen, heard or said in a shot becomes one vector."""
