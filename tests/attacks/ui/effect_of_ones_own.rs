//! Nobody adds an effect of their own: policy, metering and audit would not know it.

use cog_base::json::Map;
use cog_gate::Effect;
use cog_gate::effect::{Footprint, Redo, Resource};

struct LaunchMissiles;

impl Effect for LaunchMissiles {
    fn action(&self) -> &'static str {
        "file.read"
    }
    fn resource(&self) -> Resource {
        Resource { kind: "Root", name: "invoices".to_owned() }
    }
    fn args(&self) -> Map {
        Map::new()
    }
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }
    fn redo(&self) -> Redo {
        Redo::Safe
    }
}

fn main() {}
