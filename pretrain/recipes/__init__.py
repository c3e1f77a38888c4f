"""One file for each method: its lab note, its objective and its recipes. `registry` names them all."""
