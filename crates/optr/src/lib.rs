//! optr
