//! How fast payloads are validated and compacted, and what the steps of an event's way cost:
//! `cargo run --release -p sockeye-event --example speed [FILE..]`. Without files: payloads as devices send them.
#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use sockeye_event::{DeviceEvent, Origin, Party, binary, json, structured};

fn main() -> std::io::Result<()> {
    let mut payloads: Vec<(String, Vec<u8>)> = Vec::new();
    for path in std::env::args().skip(1) {
        payloads.push((path.clone(), std::fs::read(path)?));
    }
    if payloads.is_empty() {
        payloads = typical();
    }
    println!("                                      GB/s | ns per event");
    println!("payload               bytes  compact  valid |   make  store   load   line");
    for (name, text) in payloads {
        measure(&name, text);
    }
    Ok(())
}

/// One row: the JSON pass, then an event of this payload made, into binary mode, back, and into its line.
fn measure(name: &str, text: Vec<u8>) {
    let mut out = BytesMut::with_capacity(2 * text.len() + 1024);
    let gigabytes_per_second = |nanoseconds: f64| text.len() as f64 / nanoseconds;
    let compact = gigabytes_per_second(nanoseconds(|| {
        out.clear();
        assert!(json::compact(black_box(&text), &mut out).is_ok(), "{name} is not JSON");
        black_box(&out);
    }));
    let valid = gigabytes_per_second(nanoseconds(|| {
        black_box(json::is_json(black_box(&text)));
    }));
    let row = format!("{name:<20} {:>6} {compact:>8.2} {valid:>6.2}", text.len());
    let given = device_event(text.into());
    let event = match given.clone().into_event() {
        Ok(event) => event,
        Err(rejected) => return println!("{row} | {rejected}"),
    };
    let (headers, payload) = binary::encode(&event);
    let make = nanoseconds(|| drop(black_box(black_box(&given).clone().into_event())));
    let store = nanoseconds(|| drop(black_box(binary::encode(black_box(&event)))));
    let load = nanoseconds(|| drop(black_box(binary::decode(black_box(&headers), payload.as_ref()))));
    let line = nanoseconds(|| {
        out.clear();
        structured::encode(black_box(&event), &mut out);
        black_box(&out);
    });
    println!("{row} | {make:>6.0} {store:>6.0} {load:>6.0} {line:>6.0}");
}

/// Time of one call: the best of 20 rounds, because other work on the machine only makes a round slower.
fn nanoseconds(mut work: impl FnMut()) -> f64 {
    const CALLS: u32 = 5_000;
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..CALLS {
            work();
        }
        best = best.min(start.elapsed());
    }
    best.as_nanos() as f64 / CALLS as f64
}

fn device_event(payload: Bytes) -> DeviceEvent {
    let party = |name: &str| Party {
        name: name.into(),
        uid: Some("3f1c1f0e-5c5c-4f0e-9a57-0d6a1f4f9d3b".into()),
    };
    DeviceEvent {
        origin: Origin {
            application: party("drogue-public-temperature"),
            device: party("cpu-0"),
            sender: party("cpu-0"),
            instance: "drogue".into(),
        },
        channel: "temperature".into(),
        id: None,
        time: Timestamp::new(1_700_000_000, 123_456_789).unwrap_or_default(),
        content_type: None,
        data_schema: None,
        extensions: vec![],
        payload: Some(payload),
    }
}

fn typical() -> Vec<(String, Vec<u8>)> {
    let reading = r#"{"temperature":21.5,"humidity":40.25,"battery":3.71,"status":"ok","ts":1684327594123}"#;
    let status = r#"{"device":{"serial":"4e9f12aa00017","firmware":"2.14.0-rc1","location":"Building 7, second floor, room 214"},"message":"Filter pressure is above the limit, maintenance is due within the next 14 days","severity":"warning","tags":["hvac","filter","maintenance"]}"#;
    let indented =
        serde_json::from_str::<serde_json::Value>(status).and_then(|value| serde_json::to_string_pretty(&value));
    vec![
        ("reading".into(), reading.into()),
        ("status message".into(), status.into()),
        ("the same, indented".into(), indented.unwrap_or_default().into_bytes()),
        (
            "100 readings".into(),
            format!("[{}]", [reading; 100].join(",")).into_bytes(),
        ),
    ]
}
