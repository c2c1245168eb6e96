//! effect-model
