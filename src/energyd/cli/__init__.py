"""The command line. Commands import what is heavy where they need it, so that small ones start fast."""
