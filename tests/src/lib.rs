//! Harness for the upper rungs of the test ladder.
