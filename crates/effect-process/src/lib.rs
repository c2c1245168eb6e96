//! Programs in the operating system's sandbox.
//!
//! ```text
//! adapter ── starts ──▶ helper, outer stage: new user, mount, pid, ipc, uts, cgroup and
//!   (engine)             │   (unless granted) network namespaces; a file system that holds
//!                        │   the system's programs and libraries, a few devices, an own
//!                        │   /tmp and the one root, and nothing else
//!                        ▼
//!                       helper, inner stage: pid 1 of the new namespace; landlock, seccomp;
//!                        │   ends when the engine ends
//!                        ▼
//!                       helper, last stage: limits; becomes
//!                        │
//!                        ▼
//!                       the program
//! ```
//!
//! The helper is the product's own binary with one hidden argument ([`ARGUMENT`]), which
//! must do nothing but call [`enter`] before it starts any thread. What the kernel lacks is
//! named, and then nothing is run: there is no way to run a program outside.

mod adapter;
mod bounds;
mod cgroup;
mod enter;
mod folder;
mod sandbox;
mod spec;
mod stream;

pub use adapter::{Hidden, Lend, ProcessAdapter};
pub use enter::{enter, shown};
pub use folder::WorkFolder;
pub use sandbox::Sandbox;
pub use spec::ARGUMENT;

pub use bounds::{
    FILE_BYTES_MAX, OPEN_FILES_MAX, PROCESSES_MAX, TEMPORARY_BYTES_MAX, TEMPORARY_FILES_MAX,
};
