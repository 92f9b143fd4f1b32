"""The decisions. Pure: no await, no clock, no chance, no file, no network, no log; values in, values out."""
