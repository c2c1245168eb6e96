//! Removing what the canon wants nobody to see.

use cog_base::Value;

/// What stands in the place of a redacted value.
const REDACTED: &str = "[redacted]";

/// `output` with each path replaced. Paths name members from `output.` on; a list on the
/// way means each of its items.
pub(crate) fn redact(mut output: Value, paths: &[String]) -> Value {
    for path in paths {
        let path = path.strip_prefix("output.").unwrap_or(path);
        let names: Vec<_> = path.split('.').collect();
        blank(&mut output, &names);
    }
    output
}

fn blank(value: &mut Value, names: &[&str]) {
    let Some((name, rest)) = names.split_first() else {
        *value = REDACTED.into();
        return;
    };
    match value {
        Value::List(items) => items.iter_mut().for_each(|item| blank(item, names)),
        Value::Map(members) => {
            if let Some(member) = members.get_mut(name) {
                blank(member, rest);
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cog_base::json::parse;

    fn check(output: &str, path: &str, expected: &str) {
        let output = parse(output).expect("reads");
        assert_eq!(redact(output, &[path.to_owned()]).to_string(), expected);
    }

    #[test]
    fn a_member_is_replaced_wherever_it_stands() {
        check(r#"{"iban":"DE1","a":1}"#, "output.iban", r#"{"a":1,"iban":"[redacted]"}"#);
        check(
            r#"{"l":[{"x":1},{"x":2}]}"#,
            "output.l.x",
            r#"{"l":[{"x":"[redacted]"},{"x":"[redacted]"}]}"#,
        );
        check(r#"{"a":1}"#, "output.missing", r#"{"a":1}"#);
    }
}
