//! From many timed operations to a few figures.

use std::time::{Duration, Instant};

use crate::usage;

/// The most operations whose times are kept; later ones only count.
const SAMPLES_MAX: usize = 8_000_000;

/// What a measurement comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    /// How many operations were measured.
    pub(crate) operations: u64,
    /// Half of the timed pieces took at most so long, in microseconds.
    pub(crate) p50_us: f64,
    /// Of a hundred timed pieces 99 took at most so long, in microseconds.
    pub(crate) p99_us: f64,
    /// Operations in a second.
    pub(crate) throughput_per_s: f64,
    /// User and system time of one operation, in microseconds.
    pub(crate) cpu_us_per_op: f64,
}

/// Collects times.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<u64>);

impl Samples {
    pub(crate) fn note(&mut self, time: Duration) {
        if self.0.len() < SAMPLES_MAX {
            self.0.push(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The figures of so many operations that took so long and used so much.
    pub(crate) fn figures(mut self, operations: u64, wall: Duration, cpu: Duration) -> Figures {
        self.0.sort_unstable();
        let count = operations.max(1) as f64;
        Figures {
            operations,
            p50_us: self.percentile(50),
            p99_us: self.percentile(99),
            throughput_per_s: operations as f64 / wall.as_secs_f64().max(1e-9),
            cpu_us_per_op: cpu.as_secs_f64() * 1e6 / count,
        }
    }

    /// The nearest rank, of sorted times, in microseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(rank).map_or(0.0, |nanos| *nanos as f64 / 1_000.0)
    }
}

/// Repeat an operation for some seconds, after a tenth of that to warm up. `operation` is
/// told how often it was called.
pub(crate) fn repeat<T>(
    seconds: f64,
    mut operation: impl FnMut(usize) -> anyhow::Result<T>,
) -> anyhow::Result<Figures> {
    let mut turn = 0;
    let warm = Instant::now();
    while turn == 0 || warm.elapsed().as_secs_f64() < seconds / 10.0 {
        std::hint::black_box(operation(turn)?);
        turn += 1;
    }
    let mut samples = Samples::default();
    let (cpu, start) = (usage::cpu(), Instant::now());
    let (mut last, first) = (start, turn);
    loop {
        std::hint::black_box(operation(turn)?);
        turn += 1;
        let now = Instant::now();
        samples.note(now - last);
        last = now;
        if (now - start).as_secs_f64() >= seconds {
            break;
        }
    }
    let cpu = usage::cpu().saturating_sub(cpu);
    Ok(samples.figures((turn - first) as u64, last - start, cpu))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut samples = Samples::default();
        for micros in (1..=200).rev() {
            samples.note(Duration::from_micros(micros));
        }
        let figures = samples.figures(400, Duration::from_secs(2), Duration::from_millis(4));
        assert_eq!((figures.p50_us, figures.p99_us), (100.0, 198.0));
        assert_eq!((figures.throughput_per_s, figures.cpu_us_per_op), (200.0, 10.0));
    }

    #[test]
    fn nothing_measured_is_zero() {
        let figures = Samples::default().figures(0, Duration::ZERO, Duration::ZERO);
        assert_eq!((figures.p50_us, figures.throughput_per_s), (0.0, 0.0));
    }
}
