"""One file for each thing that is judged: how its counts become evidence, and its evidence a finding."""
