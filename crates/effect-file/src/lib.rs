//! effect-file
