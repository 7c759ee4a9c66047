"""One training by several processes of this machine: the run launches them, and they tell it how they go on."""
