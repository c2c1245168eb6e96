//! effect-process
