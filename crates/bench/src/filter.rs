//! Filters on the bytes of a payload, beside a scan of the same bytes that only looks for what separates values.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use bytes::BytesMut;
use sockeye_filter::{Fields, Filter, Index, Scratch, Shape};

use crate::report::{Bar, Table, median, ratios, spread};

/// Filters of which some match.
const FILTERS: usize = 10_000;
const MATCHING: usize = 100;
/// Calls of one round.
const CALLS: u32 = 20_000;

/// What is measured beside what: name, own, floor, bar.
struct Pair<'a> {
    name: String,
    own: Box<dyn FnMut() + 'a>,
    beside: Box<dyn FnMut() + 'a>,
    calls: u32,
    bar: f64,
}

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize) -> Result<Table> {
    let payload = payload();
    let payload = payload.as_bytes();
    let mut table = Table::new(["filter", "ns", "beside ns", "ratio", "bar", ""]);
    let pairs = [
        equality(payload)?,
        projection(payload)?,
        index(payload, false)?,
        index(payload, true)?,
    ];
    for mut pair in pairs {
        let (mut own, mut beside) = (vec![], vec![]);
        for _ in 0..rounds {
            beside.push(nanoseconds(pair.calls, &mut pair.beside));
            own.push(nanoseconds(pair.calls, &mut pair.own));
        }
        let ratios = ratios(&own, &beside);
        let [bar, verdict] = Bar::AtMost(pair.bar).cells(median(&ratios));
        table.row([
            pair.name,
            format!("{:.0}", median(&own)),
            format!("{:.0}", median(&beside)),
            spread(&ratios),
            bar,
            verdict,
        ]);
    }
    Ok(table)
}

/// As a device sends it: 512 bytes, the field that is asked for the last of them.
fn payload() -> String {
    let mut text = "{".to_owned();
    for number in 0.. {
        let member = format!(
            "\"sensor-{number}\":{}.{number},\"unit-{number}\":\"Cel\",",
            17 * number
        );
        if text.len() + member.len() > 512 - 32 {
            break;
        }
        text += &member;
    }
    let rest = 512 - text.len() - r#""note":"","status":"running"}"#.len();
    text + &format!(r#""note":"{}","status":"running"}}"#, "x".repeat(rest))
}

fn equality(payload: &[u8]) -> Result<Pair<'_>> {
    let filter = parse("status=is:running")?;
    let mut scratch = Scratch::default();
    Ok(Pair {
        name: format!(
            "one equality on the last field of {} bytes, beside a bare scan",
            payload.len()
        ),
        own: Box::new(move || assert!(filter.passes(black_box(payload), &mut scratch))),
        beside: Box::new(move || bare_scan(payload)),
        calls: CALLS,
        bar: 1.5,
    })
}

fn projection(payload: &[u8]) -> Result<Pair<'_>> {
    let fields = Fields::parse("status,sensor-3").context("fields")?;
    let skip = parse("nothing=has:true")?;
    let (mut scratch, mut other) = (Scratch::default(), Scratch::default());
    let mut out = BytesMut::with_capacity(2 * payload.len());
    Ok(Pair {
        name: "projection of two fields, beside skipping all of them".to_owned(),
        own: Box::new(move || {
            out.clear();
            assert!(fields.project(black_box(payload), &mut scratch, &mut out));
        }),
        beside: Box::new(move || assert!(!skip.passes(black_box(payload), &mut other))),
        calls: CALLS,
        bar: 1.5,
    })
}

/// Many filters with an equality on one field, of which some match: beside those some, each tried or in an index of their own.
fn index(payload: &[u8], indexed: bool) -> Result<Pair<'_>> {
    let (mut all, mut few, mut alone) = (Index::default(), Index::default(), Vec::new());
    for number in 0..FILTERS {
        let matches = number < MATCHING;
        let value = if matches {
            "running".to_owned()
        } else {
            format!("state-{number}")
        };
        let filter = Arc::new(parse(&format!("status=is:{value};sensor-1=lt:{}", 1_000 + number))?);
        if matches {
            few.insert(number, Arc::clone(&filter));
            alone.push(Arc::clone(&filter));
        }
        all.insert(number, filter);
    }
    let (mut scratch, mut other) = (Scratch::default(), Scratch::default());
    let count = |index: &Index<usize>, scratch: &mut Scratch| {
        let mut passed = 0;
        index.each_passed(black_box(payload), scratch, |_| passed += 1);
        assert_eq!(passed, MATCHING);
    };
    Ok(Pair {
        name: format!(
            "{FILTERS} filters by equality, {MATCHING} matching, beside those {}",
            if indexed {
                "in an index of their own"
            } else {
                "one by one"
            }
        ),
        own: Box::new(move || count(&all, &mut scratch)),
        beside: if indexed {
            Box::new(move || count(&few, &mut other))
        } else {
            Box::new(move || assert!(alone.iter().all(|filter| filter.passes(black_box(payload), &mut other))))
        },
        calls: CALLS / 20,
        bar: 3.0,
    })
}

/// Every quote, closing brace and comma, found by `memchr`'s vectors: what any reader of JSON has to find at least.
fn bare_scan(payload: &[u8]) {
    let found = memchr::memchr3_iter(b'"', b'}', b',', black_box(payload));
    black_box(found.fold(0, |all, at| all ^ at));
}

fn parse(text: &str) -> Result<Filter> {
    Filter::parse(text, Shape::Document).context("where")
}

fn nanoseconds(calls: u32, run: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        run();
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}
