//! The file system that a program sees: the system's programs and libraries to read, a few
//! devices, an own `/tmp`, and its root as `/workspace`.

#![expect(
    clippy::disallowed_methods,
    reason = "the helper builds the view in a mount namespace of its own"
)]

use std::fs;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use crate::bounds::{TEMPORARY_BYTES_MAX, TEMPORARY_FILES_MAX};
use crate::enter::mounts::{Mount, Mounts};
use crate::enter::{Refusal, SELF};
use crate::spec::{Access, Outer};

/// Where a program finds its root.
pub(crate) const WORK: &str = "/workspace";
/// Where the view is put together: a folder that every Linux has and that no program gets
/// to see otherwise.
const STAGING: &str = "/proc";

const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
const SETTINGS: [&str; 3] = ["/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"];
/// Certificates, but not the keys that stand beside them: root could read those.
const NETWORK_SETTINGS: [&str; 9] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates",
    "/etc/pki/ca-trust/extracted",
];
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// What of the machine a program sees besides its root: files and folders with all in them, and
/// what a link among them leads to. Whether each of them is there is not said.
pub fn shown() -> impl Iterator<Item = &'static str> {
    SYSTEM.into_iter().chain(SETTINGS).chain(NETWORK_SETTINGS)
}

/// Make the view and enter it. The working folder is the one that is lent.
pub(crate) fn build(spec: &Outer, helper: &Path) -> Result<(), Refusal> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(|errno| Refusal::lacks("part its mounts from the machine's", errno))?;
    let mut mounts = Mounts::open().map_err(|error| Refusal::lacks("list mounts", error))?;
    memory(STAGING, "mode=755,size=4m")?;
    let network = if spec.network { NETWORK_SETTINGS.as_slice() } else { &[] };
    for path in SYSTEM.iter().chain(&SETTINGS).chain(network) {
        show(path)?;
    }
    for path in DEVICES {
        lend(Path::new(path), &staged(path), Kind::File)?;
    }
    let temporary = staged("/tmp");
    make_folder(&temporary)?;
    let options = format!("mode=700,size={TEMPORARY_BYTES_MAX},nr_inodes={TEMPORARY_FILES_MAX}");
    memory(&temporary, &options)?;
    if spec.folder != Access::None {
        lend(Path::new("."), &staged(WORK), Kind::Folder)?;
    }
    lend(helper, &staged(SELF), Kind::File)?;
    let inside = mounts.inside(STAGING).map_err(|error| Refusal::lacks("list mounts", error))?;
    inside.iter().try_for_each(|mount| protect(mount, spec.folder))?;
    enter(if spec.folder == Access::None { "/tmp" } else { WORK })
}

#[derive(Clone, Copy)]
enum Kind {
    File,
    Folder,
}

fn staged(path: &str) -> String {
    format!("{STAGING}{path}")
}

/// Show a part of the system, if it has it, to read. Links are shown as links.
fn show(path: &str) -> Result<(), Refusal> {
    let Ok(about) = fs::symlink_metadata(path) else { return Ok(()) };
    let target = staged(path);
    if about.is_symlink() {
        return link(path, &target);
    }
    lend(Path::new(path), &target, if about.is_dir() { Kind::Folder } else { Kind::File })
}

/// A link that leads out of what is shown (as `resolv.conf` often does) becomes what it
/// leads to.
fn link(path: &str, target: &str) -> Result<(), Refusal> {
    let failed = |error| Refusal::lacks(&format!("show {path}"), error);
    let leads_to = fs::read_link(path).map_err(failed)?;
    let real = fs::canonicalize(path);
    let shown = |real: &Path| SYSTEM.iter().any(|shown| real.starts_with(shown));
    match real {
        Ok(real) if !shown(&real) => {
            lend(&real, target, if real.is_dir() { Kind::Folder } else { Kind::File })
        }
        Ok(_) | Err(_) => {
            make_parent(target)?;
            std::os::unix::fs::symlink(leads_to, target).map_err(failed)
        }
    }
}

/// Bind `source` to `target`, which is made.
fn lend(source: &Path, target: &str, kind: Kind) -> Result<(), Refusal> {
    let step = || format!("show {}", source.display());
    match kind {
        Kind::Folder => make_folder(target)?,
        Kind::File => {
            make_parent(target)?;
            fs::write(target, "").map_err(|error| Refusal::lacks(&step(), error))?;
        }
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source), target, None::<&str>, flags, None::<&str>)
        .map_err(|errno| Refusal::lacks(&step(), errno))
}

/// Make a mount read-only, whatever it came along with, unless it is for the program to
/// change. Writing to a device is no change. The flags that the machine locked are kept.
fn protect(mount: &Mount, folder: Access) -> Result<(), Refusal> {
    let is_in = |path: &str| Path::new(&mount.place).starts_with(staged(path));
    let strange = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let more = match (is_in("/tmp"), is_in(WORK), folder) {
        (true, _, _) => strange,
        (false, true, Access::Write) => strange,
        (false, true, Access::Read | Access::None) => strange | MsFlags::MS_RDONLY,
        (false, false, _) => MsFlags::MS_NOSUID | MsFlags::MS_RDONLY,
    };
    remount(&mount.place, mount.flags | more)
}

fn remount(place: &str, flags: MsFlags) -> Result<(), Refusal> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | flags;
    mount(None::<&str>, place, None::<&str>, flags, None::<&str>)
        .map_err(|errno| Refusal::lacks(&format!("protect {place}"), errno))
}

/// An empty file system in memory.
fn memory(target: &str, options: &str) -> Result<(), Refusal> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options))
        .map_err(|errno| Refusal::lacks(&format!("mount memory at {target}"), errno))
}

fn make_folder(path: &str) -> Result<(), Refusal> {
    fs::create_dir_all(path).map_err(|error| Refusal::lacks(&format!("make {path}"), error))
}

fn make_parent(path: &str) -> Result<(), Refusal> {
    let parent = Path::new(path).parent().and_then(Path::to_str).unwrap_or(STAGING);
    make_folder(parent)
}

/// Make the view the whole file system, and let go of the machine's.
fn enter(place: &str) -> Result<(), Refusal> {
    let failed = |errno| Refusal::lacks("enter its file system", errno);
    chdir(STAGING).map_err(failed)?;
    pivot_root(".", ".").map_err(failed)?;
    umount2(".", MntFlags::MNT_DETACH).map_err(failed)?;
    chdir("/").map_err(failed)?;
    remount("/", MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
    chdir(place).map_err(failed)
}
