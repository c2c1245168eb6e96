//! An event as a message: the structured mode of CloudEvents, with what brokers look at
//! beside it.

use cog_events::Event;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// The content type of every message.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";
/// To disk before it is confirmed.
const PERSISTENT: u8 = 2;

/// What stands beside the body of the message. What is too long for a property is in the
/// body alone.
pub(crate) fn properties(event: &Event) -> BasicProperties {
    let mut headers = FieldTable::default();
    let tenant = event.tenant().to_string();
    let all =
        [("tenant", &*tenant), ("partitionkey", event.lane()), ("sequence", event.sequence())];
    for (name, text) in all {
        headers.insert(name.into(), AMQPValue::LongString(text.into()));
    }
    let mut properties = BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_app_id("cognitionos".into())
        .with_timestamp(event.time().unix_ms() / 1_000)
        .with_headers(headers);
    if let Some(id) = short(event.id()) {
        properties = properties.with_message_id(id);
    }
    if let Some(kind) = short(event.kind()) {
        properties = properties.with_type(kind);
    }
    properties
}

/// A text of at most 255 bytes.
pub(crate) fn short(text: &str) -> Option<ShortString> {
    ShortString::try_new(text).ok()
}
