//! Landlock: the second wall around files. It still stands when a mount is forgotten.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    path_beneath_rules,
};

use crate::enter::Refusal;
use crate::enter::view::WORK;
use crate::spec::Access;

/// What the kernel must have (Linux 5.13).
const NEEDED: ABI = ABI::V1;
/// What is used where the kernel has it: moving, cutting and device control.
const WANTED: ABI = ABI::V6;

/// Take the rights on files and, without network, on TCP from this thread and what it
/// starts.
pub(crate) fn restrict(folder: Access, network: bool) -> Result<(), Refusal> {
    let what = "restrict files (Landlock, Linux 5.13, must be switched on)";
    let status = ruleset(folder, network).map_err(|error| Refusal::lacks(what, error))?;
    match status {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err(Refusal::lacks(what, "the kernel does not have it")),
    }
}

fn ruleset(folder: Access, network: bool) -> Result<RulesetStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))?
        .scope(Scope::from_all(WANTED))?;
    if !network {
        ruleset = ruleset.handle_access(AccessNet::from_all(WANTED))?;
    }
    let changed: &[&str] = match folder {
        Access::None | Access::Read => &["/tmp"],
        Access::Write => &["/tmp", WORK],
    };
    let status = ruleset
        .create()?
        .add_rules(path_beneath_rules(["/"], AccessFs::from_read(WANTED)))?
        .add_rules(path_beneath_rules(["/dev"], AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(changed, everything_but_devices()))?
        .restrict_self()?;
    Ok(status.ruleset)
}

fn everything_but_devices() -> BitFlags<AccessFs> {
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    AccessFs::from_all(WANTED) & !devices
}
