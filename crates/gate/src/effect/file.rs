//! Files inside declared roots.

use cog_base::Value;
use cog_base::json::Map;

use super::args::{Args, BadArgs};
use super::{Effect, Footprint, Redo, Resource};

/// Read a file, or list a folder, inside a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRead {
    /// The declared root.
    pub root: String,
    /// The path inside it, `.` for the root itself.
    pub path: String,
}

/// Write a file inside a root. The write is atomic: the whole content or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileWrite {
    /// The declared root.
    pub root: String,
    /// The path inside it. Missing folders are made.
    pub path: String,
    /// What is written.
    pub content: WriteContent,
    /// Whether a file may be there already.
    pub mode: WriteMode,
}

/// What a file holds after the write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteContent {
    /// This text.
    Text(String),
    /// This object, as canonical JSON and a newline. Policies see its members.
    Document(Map),
}

/// Whether a file may be there before the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// It must not.
    Create,
    /// It may; its content is replaced.
    Replace,
}

/// Delete a file inside a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDelete {
    /// The declared root.
    pub root: String,
    /// The path inside it.
    pub path: String,
}

impl FileRead {
    pub(super) fn from_args(args: &Map) -> Result<Self, BadArgs> {
        let args = Args::new("file.read", &["root", "path"], args)?;
        Ok(Self { root: args.text("root")?, path: args.text("path")? })
    }
}

impl FileDelete {
    pub(super) fn from_args(args: &Map) -> Result<Self, BadArgs> {
        let args = Args::new("file.delete", &["root", "path"], args)?;
        Ok(Self { root: args.text("root")?, path: args.text("path")? })
    }
}

impl FileWrite {
    pub(super) fn from_args(args: &Map) -> Result<Self, BadArgs> {
        let known = ["root", "path", "text", "document", "mode"];
        let args = Args::new("file.write", &known, args)?;
        let content = match (args.text_or_none("text")?, args.get("document")) {
            (Some(text), None) => WriteContent::Text(text),
            (None, Some(Value::Map(document))) => WriteContent::Document(document.clone()),
            (None, Some(other)) => return Err(args.wrong("document", "an object", other)),
            (Some(_), Some(other)) => {
                return Err(args.wrong("document", "absent when `text` is given", other));
            }
            (None, None) => {
                return Err(BadArgs::Missing { action: "file.write", name: "text` or `document" });
            }
        };
        let mode = match args.text_or_none("mode")?.as_deref() {
            None | Some("create") => WriteMode::Create,
            Some("replace") => WriteMode::Replace,
            Some(other) => {
                return Err(args.wrong("mode", "`create` or `replace`", &Value::from(other)));
            }
        };
        Ok(Self { root: args.text("root")?, path: args.text("path")?, content, mode })
    }
}

impl WriteContent {
    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Document(document) => {
                let mut bytes = Value::Map(document.clone()).canonical();
                bytes.push(b'\n');
                bytes
            }
        }
    }
}

impl Effect for FileRead {
    fn action(&self) -> &'static str {
        "file.read"
    }
    fn resource(&self) -> Resource {
        root(&self.root)
    }
    fn args(&self) -> Map {
        place(&self.root, &self.path)
    }
    fn footprint(&self) -> Footprint {
        Footprint { reads: [key(&self.root, &self.path)].into(), ..Footprint::default() }
    }
    fn redo(&self) -> Redo {
        Redo::Safe
    }
}

impl Effect for FileWrite {
    fn action(&self) -> &'static str {
        "file.write"
    }
    fn resource(&self) -> Resource {
        root(&self.root)
    }
    fn args(&self) -> Map {
        let mut args = place(&self.root, &self.path);
        let (name, content) = match &self.content {
            WriteContent::Text(text) => ("text", Value::from(text.as_str())),
            WriteContent::Document(document) => ("document", Value::Map(document.clone())),
        };
        args.insert(name.into(), content);
        let mode = match self.mode {
            WriteMode::Create => "create",
            WriteMode::Replace => "replace",
        };
        args.insert("mode".into(), mode.into());
        args
    }
    fn footprint(&self) -> Footprint {
        Footprint { writes: [key(&self.root, &self.path)].into(), ..Footprint::default() }
    }
    fn redo(&self) -> Redo {
        Redo::Probe
    }
}

impl Effect for FileDelete {
    fn action(&self) -> &'static str {
        "file.delete"
    }
    fn resource(&self) -> Resource {
        root(&self.root)
    }
    fn args(&self) -> Map {
        place(&self.root, &self.path)
    }
    fn footprint(&self) -> Footprint {
        Footprint { writes: [key(&self.root, &self.path)].into(), ..Footprint::default() }
    }
    fn redo(&self) -> Redo {
        Redo::Probe
    }
}

fn root(name: &str) -> Resource {
    Resource { kind: "Root", name: name.to_owned() }
}

fn place(root: &str, path: &str) -> Map {
    Map::from([("root".into(), root.into()), ("path".into(), path.into())])
}

/// The root itself is `file:root`, so that a listing covers what is written below it.
fn key(root: &str, path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() || path == "." {
        format!("file:{root}")
    } else {
        format!("file:{root}/{}", path.trim_start_matches("./"))
    }
}
