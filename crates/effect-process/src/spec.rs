//! What the engine tells the stages of the helper, and what they say back.
//!
//! The descriptions of the first two stages go through the helper's standard input, one frame
//! each (`<length>\n` and canonical JSON), before the program's own input; the last stage
//! gets words. The first line of the standard output is the helper's: `started <nonce>` or
//! `refused <nonce> <json>`. The nonce is the receipt, which the program does not know, so it
//! cannot speak for the helper.

use std::collections::BTreeMap;
use std::io;

use cog_base::Value;
use cog_base::json::parse;
use cog_gate::Failure;

use crate::bounds::SPEC_BYTES_MAX;

/// The hidden argument by which the product's binary becomes the helper.
pub const ARGUMENT: &str = "sandbox-enter";
/// The variable that names the helper's stage.
pub(crate) const STAGE: &str = "COGNITIONOS_SANDBOX_STAGE";
/// The code of every failure to build the sandbox.
pub(crate) const UNAVAILABLE: &str = "process.sandbox_unavailable";

/// The one root of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It has none.
    None,
    /// It may read it.
    Read,
    /// It may read and change it.
    Write,
}

/// What the outer stage must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outer {
    pub(crate) nonce: String,
    pub(crate) folder: Access,
    pub(crate) network: bool,
}

/// What the inner stage must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inner {
    pub(crate) nonce: String,
    pub(crate) folder: Access,
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) network: bool,
    pub(crate) cpu_seconds: u64,
    pub(crate) memory_bytes: u64,
}

/// What the helper's first line, and what follows it, amount to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The program ran; this is its output.
    Ran(Vec<u8>),
    /// It was not started.
    Refused(Failure),
    /// The helper said nothing.
    Silent,
}

impl Access {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    fn from_value(value: &Value) -> Option<Self> {
        let text = value.get("folder")?.as_text()?;
        [Self::None, Self::Read, Self::Write].into_iter().find(|access| access.as_str() == text)
    }
}

impl Outer {
    pub(crate) fn to_value(&self) -> Value {
        Value::map([
            ("nonce", Value::from(self.nonce.as_str())),
            ("folder", self.folder.as_str().into()),
            ("network", self.network.into()),
        ])
    }

    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let folder = Access::from_value(value)?;
        let nonce = value.get("nonce")?.as_text()?.to_owned();
        Some(Self { nonce, folder, network: value.get("network")?.as_bool()? })
    }
}

impl Inner {
    pub(crate) fn to_value(&self) -> Value {
        let env = self.env.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        Value::map([
            ("nonce", Value::from(self.nonce.as_str())),
            ("folder", self.folder.as_str().into()),
            ("program", self.program.as_str().into()),
            ("args", Value::list(self.args.iter().map(String::as_str))),
            ("env", Value::map(env)),
            ("network", self.network.into()),
            ("cpu_seconds", self.cpu_seconds.into()),
            ("memory_bytes", self.memory_bytes.into()),
        ])
    }

    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_text().map(str::to_owned);
        let args = value.get("args")?.as_list()?.iter().map(text).collect::<Option<_>>()?;
        let env = value.get("env")?.as_map()?.iter();
        let env = env.map(|(name, value)| Some((name.clone(), text(value)?)));
        Some(Self {
            nonce: text(value.get("nonce")?)?,
            folder: Access::from_value(value)?,
            program: text(value.get("program")?)?,
            args,
            env: env.collect::<Option<_>>()?,
            network: value.get("network")?.as_bool()?,
            cpu_seconds: value.get("cpu_seconds")?.as_u64()?,
            memory_bytes: value.get("memory_bytes")?.as_u64()?,
        })
    }
}

/// A description as it goes through the pipe.
pub(crate) fn frame(value: &Value) -> Vec<u8> {
    let bytes = value.canonical();
    let mut frame = format!("{}\n", bytes.len()).into_bytes();
    frame.extend(bytes);
    frame
}

/// Read one frame and not a byte more, as what follows is for somebody else.
pub(crate) fn read_frame(
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<Value> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut take = |bytes: &mut [u8]| match read(bytes)? {
        0 => Err(bad("the description ends early")),
        count => Ok(count),
    };
    let mut length = 0_usize;
    loop {
        let mut digit = [0];
        take(&mut digit)?;
        let [digit] = digit;
        match digit {
            b'\n' => break,
            b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
            _ => return Err(bad("the description has no length")),
        }
        if length > SPEC_BYTES_MAX {
            return Err(bad("the description is too long"));
        }
    }
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        filled += take(bytes.get_mut(filled..).unwrap_or_default())?;
    }
    let text = String::from_utf8(bytes).map_err(|_| bad("the description is not text"))?;
    parse(&text).map_err(|error| bad(&error.to_string()))
}

/// The helper's line before the program starts.
pub(crate) fn started(nonce: &str) -> String {
    format!("started {nonce}\n")
}

/// The helper's line when it does not.
pub(crate) fn refused(nonce: &str, code: &str, message: &str) -> String {
    let value = Value::map([("code", code), ("message", message)]);
    format!("refused {nonce} {value}\n")
}

/// What the helper said on its standard output.
pub(crate) fn verdict(nonce: &str, stdout: Vec<u8>) -> Verdict {
    let started = started(nonce);
    let (ran, rest) = match stdout.strip_prefix(started.as_bytes()) {
        Some(rest) => (true, rest),
        None => (false, stdout.as_slice()),
    };
    match refusal(nonce, rest) {
        Some(failure) => Verdict::Refused(failure),
        None if ran => Verdict::Ran(rest.to_vec()),
        None => Verdict::Silent,
    }
}

fn refusal(nonce: &str, bytes: &[u8]) -> Option<Failure> {
    let json = bytes.strip_prefix(format!("refused {nonce} ").as_bytes())?;
    let value = parse(std::str::from_utf8(json).ok()?).ok()?;
    let text = |name| value.get(name).and_then(Value::as_text).map(str::to_owned);
    Some(Failure { code: text("code")?, message: text("message")?, transient: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner() -> Inner {
        Inner {
            nonce: "rcp_1".into(),
            folder: Access::Write,
            program: "sh".into(),
            args: vec!["-c".into(), "echo \"hi\"".into()],
            env: [("A".to_owned(), "ä\n".to_owned())].into(),
            network: true,
            cpu_seconds: 7,
            memory_bytes: 1 << 33,
        }
    }

    #[test]
    fn two_frames_are_read_and_what_follows_is_left() {
        let outer = Outer { nonce: "rcp_1".into(), folder: Access::Read, network: false };
        let mut pipe = frame(&outer.to_value());
        pipe.extend(frame(&inner().to_value()));
        pipe.extend(b"12\ninput");
        let mut pipe = io::Cursor::new(pipe);
        let mut next = || read_frame(|bytes| io::Read::read(&mut pipe, bytes)).unwrap();
        assert_eq!(Outer::from_value(&next()), Some(outer));
        assert_eq!(Inner::from_value(&next()), Some(inner()));
        let mut rest = String::new();
        io::Read::read_to_string(&mut pipe, &mut rest).unwrap();
        assert_eq!(rest, "12\ninput");
    }

    #[test]
    fn a_frame_that_is_none_is_refused() {
        let check = |bytes: &[u8], expected: &str| {
            let mut pipe = io::Cursor::new(bytes);
            let error = read_frame(|bytes| io::Read::read(&mut pipe, bytes)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(b"", "ends early");
        check(b"3\n{}", "ends early");
        check(b"-1\n{}", "no length");
        check(b"99999999999999999999\n", "too long");
        check(b"2\n{]", "at byte");
    }

    #[test]
    fn a_program_cannot_speak_for_the_helper() {
        let check = |stdout: &str, expected: Verdict| {
            assert_eq!(verdict("rcp_1", stdout.as_bytes().to_vec()), expected);
        };
        let failure =
            |code: &str| Failure { code: code.into(), message: "m".into(), transient: false };
        check("started rcp_1\nhi", Verdict::Ran(b"hi".to_vec()));
        check("started rcp_1\n", Verdict::Ran(Vec::new()));
        check(&refused("rcp_1", "a.b", "m"), Verdict::Refused(failure("a.b")));
        let late = started("rcp_1") + &refused("rcp_1", "a.b", "m");
        check(&late, Verdict::Refused(failure("a.b")));
        let forged = refused("rcp_2", "a.b", "m");
        check(&(started("rcp_1") + &forged), Verdict::Ran(forged.clone().into_bytes()));
        check(&forged, Verdict::Silent);
        check("hi", Verdict::Silent);
        check("started rcp_2\nhi", Verdict::Silent);
    }
}
