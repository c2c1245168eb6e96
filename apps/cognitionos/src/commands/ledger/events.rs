//! `ledger events`: what a ledger tells the outside, as it would be told.

use cog_events::Types;
use cog_outbox::page;
use cog_store::PAGE_MAX;

use crate::failure::Exit;
use crate::home::{Home, told};
use crate::terminal::{Terminal, plain};

/// The events of the entries from `from` on, of some types; at most `limit`.
pub(super) fn events(
    home: &Home,
    (from, limit): (u64, usize),
    types: &[String],
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let types = Types::matching(types);
    let scope = home.scope()?;
    let (mut from, mut left) = (from, limit);
    while left > 0 {
        let page = page(&*scope, from, left.min(PAGE_MAX), &types).map_err(told)?;
        if page.next == from {
            break;
        }
        from = page.next;
        left = left.saturating_sub(page.events.len());
        for event in &page.events {
            if terminal.json {
                terminal.emit(&cog_base::json::parse(event.json())?);
            } else {
                let (seq, time, kind) = (event.seq(), event.time(), event.kind());
                terminal.say(&format!("{seq:>6}  {time}  {kind:<30} {}", plain(event.lane())));
            }
        }
    }
    if left == 0 && !page(&*scope, from, 1, &types).map_err(told)?.events.is_empty() {
        terminal.note(&format!("there are more: --from {from} shows them"));
    }
    Ok(Exit::Done)
}
