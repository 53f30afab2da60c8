//! compat/octave.md 10, by its numbers: the tests are called `n01` to `n14`.
//!
//! Number 6 has a second half where ten minutes pass at once: `tests/idle.rs` of the dialect.

mod rest;
mod sessions;
mod sockets;

use serde_json::{Value, json};

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is needed")]
fn subscribe(message: Value, path: &str) -> Value {
    json!({"msgId": message, "object": "event", "type": "subscribe", "path": path})
}

fn by_id(kind: &str, id: &Value) -> Value {
    json!({"msgId": 9, "object": "event", "type": kind, "streamId": id})
}
