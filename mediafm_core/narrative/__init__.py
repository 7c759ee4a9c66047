"""The narrative catalogue: synthetic titles with a known truth. Whatever is measured on it is called synthetic."""
