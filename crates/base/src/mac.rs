//! Whether a message comes from somebody who has the same key: HMAC-SHA256 (RFC 2104).

use ring::hmac::{HMAC_SHA256, Key, sign, verify};

/// The tag of a message under a key.
#[must_use]
pub fn tag(key: &[u8], message: &[u8]) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), message).as_ref().to_vec()
}

/// Whether this is the tag of a message, in a time that tells nothing of where it differs.
#[must_use]
pub fn holds(key: &[u8], message: &[u8], tag: &[u8]) -> bool {
    verify(&Key::new(HMAC_SHA256, key), message, tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_of_rfc_4231() {
        for (key, message, expected) in [
            (
                vec![0x0b; 20],
                "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
        ] {
            let made = tag(&key, message.as_bytes());
            let shown: String = made.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(shown, expected);
            assert!(holds(&key, message.as_bytes(), &made));
            assert!(!holds(&key, b"another message", &made));
            assert!(!holds(b"another key", message.as_bytes(), &made));
            assert!(!holds(&key, message.as_bytes(), &made[..31]));
        }
    }
}
