//! What a sandboxed program may use beyond what its effect says.

/// Processes and threads of one run.
pub const PROCESSES_MAX: u64 = 128;
/// Open files of one process.
pub const OPEN_FILES_MAX: u64 = 256;
/// The largest file it may write, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 30;
/// What fits into its own `/tmp`, in bytes.
pub const TEMPORARY_BYTES_MAX: u64 = 64 << 20;
/// How many files and folders fit into it.
pub const TEMPORARY_FILES_MAX: u64 = 16_384;
/// The largest description of a run, in bytes: arguments and environment.
pub(crate) const SPEC_BYTES_MAX: usize = 4 << 20;
/// What the two stages of the helper may take of the memory of a control group, in bytes.
pub(crate) const HELPER_BYTES: u64 = 32 << 20;
/// The largest core file, in bytes. Zero keeps files from being written, but still starts the
/// machine's handler of crashes, outside and as root; one does neither (core(5)).
pub(crate) const CORE_BYTES: u64 = 1;
