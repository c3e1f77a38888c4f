"""Files written whole or not at all, replaced only by whoever wrote them, and read within bounds."""
