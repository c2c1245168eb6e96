//! The named maxima of this crate: what a workflow file, an expression or a run may be.

/// Bytes of a workflow file.
pub const MAX_FILE_BYTES: usize = 1 << 20;
/// Levels of nesting in a workflow file, and of steps within steps.
pub const MAX_YAML_DEPTH: usize = 32;
/// Steps of a workflow, those inside groups, plans and handlers included.
pub const MAX_STEPS: usize = 1_000;
/// Errors that are reported for one file.
pub const MAX_DIAGNOSTICS: usize = 20;
/// Bytes of an id of a step, plan, root or input.
pub const MAX_ID_BYTES: usize = 64;

/// Bytes of the path by which a step names the workflow that it runs.
pub const MAX_WORKFLOW_BYTES: usize = 256;
/// How deep workflows run each other.
pub const MAX_FAMILY_DEPTH: usize = 8;
/// Workflows that one runs, those that they run included; one that is named in two files counts
/// twice.
pub const MAX_FAMILY: usize = 64;

/// Fields of a form that people fill in.
pub const MAX_FORM_FIELDS: usize = 32;
/// Bytes of what one person fills in.
pub const MAX_FORM_BYTES: u64 = 64 << 10;

/// Bytes of one expression.
pub const MAX_EXPRESSION_BYTES: usize = 4 << 10;
/// Levels of nesting within an expression.
pub const MAX_EXPRESSION_DEPTH: usize = 64;
/// Macros (`map`, `filter`, `all`, `exists`, `exists_one`) within each other.
pub const MAX_MACRO_DEPTH: usize = 3;
/// Operations that one evaluation may take.
pub const MAX_OPERATIONS: u64 = 1_000_000;
/// Operations that all evaluations of one run may take: some seconds of one core.
pub const MAX_RUN_OPERATIONS: u64 = 100_000_000;
/// Operations, and bytes built, for each byte of an expression that is evaluated before a run.
pub const WORK_PER_BYTE: u64 = 16;
/// Bytes that one evaluation may build on the way to its result.
pub const MAX_WORK_BYTES: u64 = 16 << 20;
/// Bytes of the result of one expression or of one interpolated text.
pub const MAX_RESULT_BYTES: u64 = 1 << 20;

/// Levels of nesting of any computed value, and of an input: what comes from outside (32) can be put
/// into others, and a record of such a value can be read again (`cog_base::json`, 64).
pub const MAX_VALUE_DEPTH: usize = 48;
/// Bytes of one computed value: the `with` of a step, the outputs of a flow.
pub const MAX_VALUE_BYTES: u64 = 4 << 20;
/// Bytes of what the `compute` steps of one run keep.
pub const MAX_COMPUTED_BYTES: u64 = 64 << 20;

/// Bytes of all inputs of a run together.
pub const MAX_INPUT_BYTES: u64 = 1 << 20;
/// Items that one `foreach` goes through.
pub const MAX_FOREACH_ITEMS: usize = 10_000;
/// Rounds of one `repeat`.
pub const MAX_ROUNDS: u32 = 10_000;
/// Steps that one run may start, each item of a `foreach` and each round of a `repeat` counted.
pub const MAX_RUN_STEPS: usize = 200_000;
/// Items of a `foreach` that run at once when the file does not say.
pub const DEFAULT_PARALLEL: u32 = 16;
/// Items of a `foreach` that may run at once.
pub const MAX_PARALLEL: u32 = 256;
/// Attempts of one effect under one receipt.
pub const MAX_ATTEMPTS: u32 = 10;
/// Milliseconds of the longest wait between two attempts: an hour.
pub const MAX_BACKOFF_MS: u64 = 3_600_000;
/// Codes that one `never_on` names.
pub const MAX_NEVER_ON: usize = 32;
/// Selections of another plan after a chosen one fell.
pub const MAX_REPLANS: u32 = 3;
/// Signals that a run keeps until a step takes them.
pub const MAX_SIGNALS_KEPT: usize = 1_000;
/// Bytes of the id that the sender of a signal gives it.
pub const MAX_SIGNAL_ID_BYTES: usize = 128;
/// Bytes of what a signal says.
pub const MAX_SIGNAL_BYTES: usize = 64 << 10;
/// Plans of one `choose`.
pub const MAX_PLANS: usize = 32;
/// Milliseconds of the shortest `heartbeat_ms`: a worker gives signs of life four times in it.
pub const MIN_HEARTBEAT_MS: i64 = 200;
/// Milliseconds of the longest `timeout_ms`, `heartbeat_ms` and `start_within_ms`: a day.
pub const MAX_TIMEOUT_MS: i64 = 86_400_000;
/// Milliseconds of the longest `sleep` and the longest approval: 366 days.
pub const MAX_SLEEP_MS: i64 = 366 * 86_400_000;
/// Bytes of the type of an event that starts a workflow.
pub const MAX_EVENT_BYTES: usize = 256;
/// Labels of one run.
pub const MAX_LABELS: usize = 16;
/// Bytes of what one label says.
pub const MAX_LABEL_BYTES: usize = 128;
/// Schedules in one workflow file.
pub const MAX_SCHEDULES: usize = 32;
