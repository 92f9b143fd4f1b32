"""One numbered step for each change of the tables. A step, once released, is never edited."""
