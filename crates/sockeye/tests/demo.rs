//! The demo: this machine's real readings, through the whole way of an event.
//!
//! Runs once: the demo starts a server of its own.

mod support;

use std::collections::BTreeSet;

use cloudevents::{AttributesReader, Data, Event};
use support::sockeye;

#[test]
fn the_demo_prints_real_readings_as_cloud_events() {
    let output = sockeye()
        .args(["demo", "--events", "20", "--output", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Event> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 20);
    for event in &events {
        assert_eq!(event.ty(), "io.drogue.event.v1");
        assert!(event.time().is_some());
        let Some(Data::Json(payload)) = event.data() else {
            panic!("a reading is JSON: {event}")
        };
        assert!(
            payload.as_object().unwrap().values().all(serde_json::Value::is_number),
            "{payload}"
        );
    }
    let channels: BTreeSet<_> = events.iter().filter_map(|event| event.subject()).collect();
    assert!(channels.contains("cpu") && channels.contains("memory"), "{channels:?}");
    let ids: BTreeSet<_> = events.iter().map(AttributesReader::id).collect();
    assert_eq!(ids.len(), 20, "each event once");
}

#[test]
fn in_a_pipe_it_prints_lines_for_people_and_what_to_try_next() {
    let output = sockeye().args(["demo", "--events", "5"]).output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 5);
    let said = String::from_utf8_lossy(&output.stderr);
    for word in ["sockeye stream", "websocat", "curl", "new WebSocket"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
