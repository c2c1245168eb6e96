//! Files inside the declared roots of a run.
//!
//! A root is a folder that the operator declared; it is opened once, when the run begins (one
//! that is yet to be made, by the first effect that writes in it), and every path is resolved from that open folder by the kernel (`openat2(2)` with
//! `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS`). Swapping the folder's
//! path, or any folder below it, for a symbolic link therefore leads nowhere.
//!
//! What this does not stop: a **hard link** that somebody with access to the machine puts
//! into a root is the file itself, and can be read there. Writing never goes through one,
//! as a write replaces the name.

mod adapter;
mod bound;
mod error;
mod folder;
mod path;
mod read;
mod root;
mod write;

pub use adapter::FileAdapter;
pub use bound::Admit;
pub use folder::ENTRIES_MAX;
pub use path::{NAME_BYTES_MAX, PATH_BYTES_MAX};
pub use read::READ_BYTES_MAX;
pub use root::{BindError, RootBinding};
pub use write::WRITE_BYTES_MAX;

#[cfg(test)]
mod tests;
