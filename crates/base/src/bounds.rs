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

/// The host of an absolute `http` or `https` URL, in lower case; none where the URL has a
/// user or a password, or could be read in two ways. Whoever sends the request parses it in
/// full; this only has to be at least as strict, so that what policies saw is where it goes.
#[must_use]
pub fn host_of(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    if authority.contains(['@', '\\', ' ', '%']) || url.contains(['\\', '\t', '\n', '\r']) {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let digits = port.strip_prefix(':').or(port.is_empty().then_some(port))?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    (plain && !host.is_empty() && host.is_ascii()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<&str>) {
        assert_eq!(host_of(url).as_deref(), expected, "{url}");
    }

    #[test]
    fn a_url_has_one_host_or_none() {
        check("https://API.example.com/a?b#c", Some("api.example.com"));
        check("http://127.0.0.1:8080", Some("127.0.0.1"));
        check("http://[::1]:8080/x", Some("::1"));
        check("ftp://example.com", None);
        check("example.com", None);
        check("https://", None);
        check("https://user@example.com", None);
        check("https://example.com\\@evil.example", None);
        check("https://example.com:80a", None);
        check("https://exämple.com", None);
    }
}
