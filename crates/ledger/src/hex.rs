//! Digests as text, quickly: an entry holds several and is written on the hot path.

use cog_base::Digest;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Append `sha256:` and 64 hex digits.
pub(crate) fn write_digest(digest: &Digest, out: &mut Vec<u8>) {
    let mut text = *b"sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let digits = text.iter_mut().skip(7);
    let nibbles = digest.as_bytes().iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    for (digit, nibble) in digits.zip(nibbles) {
        *digit = DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    }
    out.extend_from_slice(&text);
}

/// The digest that [`write_digest`] wrote, if `text` is one.
pub(crate) fn read_digest(text: &str) -> Option<Digest> {
    let digits: &[u8; 64] = text.strip_prefix("sha256:")?.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
    }
    Some(Digest::from_bytes(bytes))
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_written_and_read_as_base_shows_them() {
        let digest = Digest::of(&[b"anything"]);
        let mut out = Vec::new();
        write_digest(&digest, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, digest.to_string());
        assert_eq!(read_digest(&text), Some(digest));
        assert_eq!(read_digest(&text.to_uppercase()), None);
        assert_eq!(read_digest(text.get(..70).unwrap()), None);
        assert_eq!(read_digest(&text.replacen('a', "g", 1).replacen('0', "g", 1)), None);
    }
}
