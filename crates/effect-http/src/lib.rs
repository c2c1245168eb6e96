//! effect-http
