//! From what the kernel said to what a person reads.

use cog_gate::Failure;
use rustix::io::Errno;

/// A failure that another try will not cure.
pub(crate) fn failure(code: &str, message: String) -> Failure {
    Failure { code: code.into(), message, transient: false }
}

/// The failure of trying to `tried` (such as "read `a.txt` in root `invoices`").
pub(crate) fn from_errno(tried: &str, errno: Errno) -> Failure {
    let (code, remark) = match errno {
        Errno::NOENT => ("file.not_found", "it is not there"),
        Errno::NOTDIR => ("file.not_found", "a folder on the way is a file"),
        Errno::EXIST => ("file.exists", "something is there already"),
        Errno::LOOP => ("file.escapes_root", "symbolic links are not followed"),
        Errno::XDEV => ("file.escapes_root", "the path leaves its root"),
        Errno::ISDIR => ("file.not_a_file", "it is a folder"),
        Errno::NXIO | Errno::NODEV => {
            ("file.not_a_file", "it is a device, a pipe or of the kernel")
        }
        Errno::NOSPC | Errno::DQUOT => ("file.no_space", "there is no space left"),
        Errno::FBIG => ("file.too_large", "the file system takes no file of this size"),
        Errno::NAMETOOLONG | Errno::ILSEQ => {
            ("file.bad_path", "the file system takes no such name")
        }
        Errno::ACCESS | Errno::PERM => ("file.not_permitted", "the operating system refuses it"),
        Errno::ROFS => ("file.not_permitted", "the file system is read-only"),
        Errno::NOSYS => ("file.unsupported_kernel", "openat2 is missing: Linux 5.6 has it"),
        Errno::INTR | Errno::AGAIN => ("file.io", "it was interrupted"),
        other => return failure("file.io", format!("could not {tried}: {other}")),
    };
    let transient = matches!(errno, Errno::INTR | Errno::AGAIN);
    Failure { code: code.into(), message: format!("could not {tried}: {remark}"), transient }
}

/// Run a call again while a signal interrupts it, a bounded number of times.
pub(crate) fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    /// More interruptions than this in a row are not signals any more.
    const INTERRUPTIONS_MAX: usize = 100;
    for _ in 0..INTERRUPTIONS_MAX {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
    call()
}
