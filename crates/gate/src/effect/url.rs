//! The one spelling of a URL: what is decided on is what is sent.

use cog_base::place::{Place, without_secrets};
use url::Url;

/// A URL as it is sent: the host in lower case or as an address, no port that goes without
/// saying, no `.` and `..`, what need not be escaped not escaped and the rest in capitals (RFC
/// 3986, section 6.2.2; <https://url.spec.whatwg.org>), no fragment, and `***` for a user or a
/// password. Nothing where [`Place::of`] sees no place.
#[must_use]
pub fn one_spelling(url: &str) -> Option<String> {
    Place::of(url)?;
    let masked = without_secrets(url);
    let mut parsed = Url::parse(&unescaped(&masked)?).ok()?;
    parsed.set_fragment(None);
    let spelled = String::from(parsed);
    Place::of(&spelled).is_some().then_some(spelled)
}

/// The text with unreserved characters as themselves, and other escapes in capitals; nothing
/// where a `%` begins no escape, which one server may read in one way and another in another.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&digits.to_ascii_uppercase());
        }
        out.push_str(rest);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(url: &str, expected: &str) {
        let found = one_spelling(url);
        assert_eq!(found.as_deref().unwrap_or("none"), expected, "{url}");
    }

    #[test]
    fn what_leads_to_one_place_is_spelled_in_one_way() {
        let admin = "http://127.0.0.1:18080/admin/delete";
        for url in [
            "http://127.0.0.1:18080/./admin/delete",
            "http://127.0.0.1:018080/admin/delete",
            "http://127.0.0.1:18080/x/../admin/delete",
            "http://127.0.0.1:18080/x/%2e%2E/admin/delete",
            "http://127.0.0.1:18080/x/.%2e/admin/delete",
            "http://127.0.0.1:18080/%61dmin/delet%65",
            "http://127.1:18080/admin/delete",
            "http://0x7f000001:18080/admin/delete#top",
            admin,
        ] {
            check(url, admin);
        }
        check("https://API.example.com", "https://api.example.com/");
        check("https://a.example:443/?q=a b%2f%c3", "https://a.example/?q=a%20b%2F%C3");
        check("https://a.example/x//..//y", "https://a.example/x//y");
        check("https://cfo:secret@a.example/x", "https://***@a.example/x");
        check("https://[::1]:443/", "https://[::1]/");
    }

    #[test]
    fn what_could_be_read_in_two_ways_has_no_spelling() {
        for url in [
            "https://a.example/100%",
            "https://a.example/%zz",
            "https://a.example/%%36%31",
            "https://a.example/%+1",
            "https://a.example/%€",
            "https://a.example\\@b.example/",
            "ftp://a.example/",
        ] {
            check(url, "none");
        }
    }

    proptest! {
        #[test]
        fn a_spelling_is_its_own(path in "[a-zA-Z0-9./%?#&=~ äé'\"{}|^;:@-]{0,40}") {
            if let Some(spelled) = one_spelling(&format!("https://a.example/{path}")) {
                prop_assert_eq!(one_spelling(&spelled), Some(spelled.clone()));
                let parsed = Url::parse(&spelled).unwrap();
                prop_assert_eq!(parsed.as_str(), &spelled);
                let lower = spelled.to_ascii_lowercase();
                prop_assert!(!lower.contains("/../") && !lower.contains("%2e"));
            }
        }
    }
}
