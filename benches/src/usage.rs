//! What the process used: CPU, memory, bytes. Linux tells it in `/proc` and `getrusage`.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

/// Ticks of the processor's time in a second, as Linux tells it to all programs.
const TICKS_PER_S: u64 = 100;

/// User and system time of all threads so far.
pub(crate) fn cpu() -> Duration {
    cpu_of(UsageWho::RUSAGE_SELF)
}

/// User and system time of this thread so far.
pub(crate) fn cpu_of_thread() -> Duration {
    cpu_of(UsageWho::RUSAGE_THREAD)
}

/// User and system time of the children that ended so far.
pub(crate) fn cpu_of_children() -> Duration {
    cpu_of(UsageWho::RUSAGE_CHILDREN)
}

fn cpu_of(who: UsageWho) -> Duration {
    // It cannot fail for these; a figure of zero would show.
    let Ok(usage) = getrusage(who) else { return Duration::ZERO };
    let duration = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    duration(usage.user_time()) + duration(usage.system_time())
}

/// User and system time so far of a process, of those that it started and of those of them that
/// have ended: of a server with a process for each connection.
pub(crate) fn cpu_of_family(parent: u32) -> Duration {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok());
    let ticks = ids.filter_map(|id| ticks(id, parent)).sum::<u64>();
    Duration::from_millis(ticks * 1_000 / TICKS_PER_S)
}

/// What a process used, in ticks, if it is this one or a child of it.
fn ticks(id: u32, parent: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before may have anything in it.
    let members: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |place: usize| members.get(place)?.parse::<u64>().ok();
    let own = number(11)? + number(12)?;
    if id == parent {
        return Some(own + number(13)? + number(14)?);
    }
    (number(1)? == u64::from(parent)).then_some(own)
}

/// The memory that a process has in use; 0 where it is not told.
pub(crate) fn rss_bytes(process: u32) -> u64 {
    member(&format!("/proc/{process}/status"), "VmRSS:").map_or(0, |kib| kib * 1024)
}

/// Begin to watch for the most memory anew.
pub(crate) fn forget_peak() {
    // Where the system does not allow it, the peak is that of the whole process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory since [`forget_peak`]; 0 where it is not told.
pub(crate) fn peak_rss_bytes() -> u64 {
    member("/proc/self/status", "VmHWM:").map_or(0, |kib| kib * 1024)
}

/// Bytes handed to the system in writes so far; 0 where it is not told.
pub(crate) fn bytes_written() -> u64 {
    member("/proc/self/io", "wchar:").unwrap_or(0)
}

/// The load average of the machine: what else was going on.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn member(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
