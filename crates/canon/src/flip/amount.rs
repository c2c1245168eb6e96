//! Numbers that say how much there is of something. Less than nothing is no way out.

/// The words by which a name says that its number is an amount.
const WORDS: [&str; 22] = [
    "amount", "amounts", "bytes", "cents", "cost", "count", "days", "entries", "hours", "limit",
    "max", "micros", "minor", "minutes", "ms", "price", "quantity", "seconds", "size", "sum",
    "tokens", "total",
];

/// The least number worth naming at a path such as `args.document.amount_cents`: nothing for
/// amounts, by their name or because the envelope counts them; any for other numbers.
pub(super) fn least(path: &str, counted: &[String]) -> i64 {
    let name = path.rsplit('.').next().unwrap_or(path);
    let is_amount = name.split('_').any(|word| WORDS.contains(&word));
    if is_amount || counted.iter().any(|counted| counted == path) { 0 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_known_by_their_names_and_by_the_envelope() {
        let counted = ["args.document.fee".to_owned()];
        for (path, expected) in [
            ("args.document.amount_cents", 0),
            ("args.timeout_ms", 0),
            ("cost_micros", 0),
            ("args.document.fee", 0),
            ("args.document.fees", i64::MIN),
            ("args.cents.level", i64::MIN),
            ("args.document.celsius", i64::MIN),
        ] {
            assert_eq!(least(path, &counted), expected, "{path}");
        }
    }
}
