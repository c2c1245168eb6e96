//! Whether a failed attempt is followed by another, and when.

use cog_base::Digest;
use cog_base::id::RunId;
use cog_flow::{Retry, StepPath};
use cog_gate::{End, Report};

use crate::active::Wanted;

/// Whether the file wants a failed attempt to be followed by another.
pub(crate) fn again(wanted: &Wanted, report: &Report) -> bool {
    let End::Failed(failure) = &report.end else { return false };
    if wanted.withdrawn || wanted.retry.never_on.contains(&failure.code) {
        return false;
    }
    let retry = &wanted.retry;
    let timeout = failure.code.ends_with("timeout") || failure.code.ends_with("timed_out");
    report.attempts < u64::from(retry.attempts)
        && (retry.on_any
            || (retry.on_timeout && timeout)
            || (retry.on_transient && failure.transient))
}

/// How long to wait after so many attempts: each wait is longer by the factor, up to the longest,
/// and then shorter by its jitter. The jitter is not drawn but follows from run, step and
/// attempt: it spreads what failed together, and a run told twice waits the same twice.
pub(crate) fn delay_ms(retry: &Retry, attempts: u64, run: RunId, step: &StepPath) -> u64 {
    let exponent = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    let factor = u64::from(retry.factor).saturating_pow(exponent);
    let wait = retry.backoff_ms.saturating_mul(factor).min(retry.backoff_ms_max);
    let most = wait.saturating_mul(u64::from(retry.jitter_percent.min(100))) / 100;
    wait.saturating_sub(lot(run, step, attempts) % most.saturating_add(1))
}

fn lot(run: RunId, step: &StepPath, attempts: u64) -> u64 {
    let text = format!("{run} {step} {attempts}");
    let digest = Digest::in_context("cognitionos/jitter/v1", text.as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
