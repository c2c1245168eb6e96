//! What an effect may ask for at most.
//!
//! The gate refuses arguments beyond these, and a workflow file that says more is an error
//! of the file: both look here.

/// The longest that one HTTP exchange may take, in milliseconds.
pub const HTTP_TIMEOUT_MS_MAX: u64 = 600_000;
/// The largest HTTP answer that is read, in bytes.
pub const HTTP_BYTES_MAX: u64 = 8 << 20;
/// The longest that a program may run, in milliseconds.
pub const PROCESS_TIMEOUT_MS_MAX: u64 = 3_600_000;
/// The most memory that a program may map, in bytes.
pub const PROCESS_MEMORY_BYTES_MAX: u64 = 16 << 30;
/// The most output of a program that is kept, in bytes, of each stream.
pub const PROCESS_OUTPUT_BYTES_MAX: u64 = 8 << 20;
/// The most tokens that a model's answer may have.
pub const MODEL_TOKENS_MAX: u64 = 131_072;
/// The most messages in one question to a model.
pub const MODEL_MESSAGES_MAX: usize = 1_000;
/// The highest sampling temperature of a model, in thousandths.
pub const MODEL_TEMPERATURE_MILLI_MAX: u64 = 2_000;
