//! The rules of the house (ARCHITECTURE.md), checked: a room imports only from floors below it, cores know no I/O, and
//! files stay readable.
//!
//! Runs once: no server runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// The rooms, from the ground up. A room may import from lower floors only, never from its own.
const FLOORS: &[&[&str]] = &[
    &["sockeye-limits"],
    &["sockeye-event", "sockeye-filter", "sockeye-ws"],
    &["sockeye-log"],
    &["sockeye-registry", "sockeye-group", "sockeye-policy"],
    &[
        "sockeye-engine-sqlite",
        "sockeye-engine-kafka",
        "sockeye-engine-postgres",
        "sockeye-access",
        "sockeye-delivery",
    ],
    &[
        "sockeye-dialect-dojot",
        "sockeye-dialect-drogue",
        "sockeye-dialect-octave",
        "sockeye-ingest-http",
        "sockeye-api",
    ],
    &["sockeye-server", "sockeye-load"],
    &["sockeye"],
];

/// What stands beside the house: tools of tests and measurements, and programs that use Sockeye from outside. No room
/// may need them.
const BESIDE: &[&str] = &["sockeye-parts", "sockeye-seeds", "sockeye-bench", "temperatures"];

/// What a room must not know although it is below: room, crate, reason.
const MUST_NOT_KNOW: &[(&str, &str, &str)] = &[
    ("sockeye-event", "tokio", "the room does no I/O"),
    ("sockeye-event", "async-trait", "the room does no I/O"),
    ("sockeye-filter", "tokio", "the room does no I/O"),
    (
        "sockeye-filter",
        "serde_json",
        "a filter looks at bytes, it builds no tree",
    ),
    ("sockeye-ws", "tokio", "frames are a state machine without I/O or clock"),
    ("sockeye-ws", "sockeye-event", "frames know no events"),
    (
        "sockeye-group",
        "tokio",
        "groups are a state machine without I/O or clock",
    ),
    (
        "sockeye-group",
        "sockeye-registry",
        "a group gives out its mark, others store it",
    ),
    ("sockeye-log", "rusqlite", "an interface knows no engine"),
    ("sockeye-log", "rdkafka", "an interface knows no engine"),
    ("sockeye-policy", "tokio", "the room has no I/O and no clock"),
    ("sockeye-registry", "rusqlite", "an interface knows no engine"),
    ("sockeye-registry", "tokio-postgres", "an interface knows no engine"),
    ("sockeye-engine-sqlite", "sockeye-ws", "an engine knows no sockets"),
    ("sockeye-engine-sqlite", "hyper", "an engine knows no sockets"),
    ("sockeye-engine-kafka", "sockeye-ws", "an engine knows no sockets"),
    ("sockeye-engine-postgres", "sockeye-ws", "an engine knows no sockets"),
    ("sockeye-delivery", "sockeye-registry", "delivery knows no device"),
    ("sockeye-delivery", "axum", "delivery knows sockets, not requests"),
    ("sockeye-ingest-http", "sockeye-delivery", "ingest knows no client"),
    ("sockeye-ingest-http", "sockeye-ws", "ingest knows no client"),
    ("sockeye-load", "sockeye-ws", "what is measured does not measure itself"),
    (
        "sockeye-api",
        "sockeye-delivery",
        "the API knows no sockets: what it shows of groups, it is given",
    ),
];

/// Longest file, in lines; tables are named below.
const LONGEST_FILE: usize = 800;
/// Nine files of ten are at most this long.
const LONG_FILE: usize = 450;

#[test]
fn a_room_imports_only_from_floors_below() {
    let metadata = metadata();
    let floor_of: BTreeMap<&str, usize> = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, rooms)| rooms.iter().map(move |room| (*room, floor)))
        .collect();
    let mut wrong = Vec::new();
    for (room, dependency) in dependencies(&metadata) {
        match (floor_of.get(room), floor_of.get(dependency)) {
            (Some(own), Some(other)) if other >= own => {
                wrong.push(format!("`{room}` (floor {own}) imports `{dependency}` (floor {other})"));
            }
            (Some(_), None) if BESIDE.contains(&dependency) => {
                wrong.push(format!(
                    "`{room}` imports `{dependency}`, which stands beside the house"
                ));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_package_has_its_floor() {
    let metadata = metadata();
    let packages: BTreeSet<_> = metadata
        .workspace_packages()
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    let known: BTreeSet<_> = FLOORS
        .iter()
        .copied()
        .flatten()
        .chain(BESIDE)
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        packages, known,
        "a package without a floor, or a floor without its package"
    );
}

#[test]
fn a_room_does_not_know_what_it_must_not_know() {
    let metadata = metadata();
    let wrong: Vec<_> = dependencies(&metadata)
        .filter_map(|(room, dependency)| {
            let (.., reason) = MUST_NOT_KNOW.iter().find(|(r, d, _)| *r == room && *d == dependency)?;
            Some(format!("`{room}` imports `{dependency}`: {reason}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_stay_readable() {
    let mut lengths: Vec<(usize, PathBuf)> = Vec::new();
    for package in metadata().workspace_packages() {
        let folder = package.manifest_path.parent().expect("a manifest is in a folder");
        rust_files(folder.as_std_path(), &mut lengths);
    }
    lengths.sort();
    lengths.dedup();
    let longest = lengths.last().expect("there are files");
    assert!(
        longest.0 <= LONGEST_FILE,
        "{} has {} lines",
        longest.1.display(),
        longest.0
    );
    let ninth = &lengths[lengths.len() * 9 / 10];
    assert!(
        ninth.0 <= LONG_FILE,
        "more than a tenth of the files is longer than {LONG_FILE} lines"
    );
}

/// `scripts/test` runs these suites over both sets of engines, whatever their names, unless they say `Runs once: ` and why.
#[test]
fn a_suite_that_runs_twice_knows_where_things_are() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut suites = Vec::new();
    for room in ["api", "server", "sockeye"] {
        for entry in std::fs::read_dir(crates.join(room).join("tests")).expect("it has tests") {
            let path = entry.expect("an entry can be read").path();
            let main = if path.is_dir() {
                path.join("main.rs")
            } else {
                path.clone()
            };
            if main.is_file() {
                suites.push((path, std::fs::read_to_string(main).expect("a source file is text")));
            }
        }
    }
    let script = std::fs::read_to_string(crates.join("../scripts/test")).expect("it is there");
    assert!(script.contains("crates/{api,server,sockeye}/tests/*"), "it runs them");
    let once = |text: &str| text.lines().any(|line| line.starts_with("//! Runs once: "));
    let (once, twice): (Vec<_>, Vec<_>) = suites.into_iter().partition(|(_, text)| once(text));
    assert!(twice.len() > once.len(), "most do");
    for (path, text) in &twice {
        let knows = text.contains("mod support;") || text.contains("mod engines;");
        assert!(knows, "{}: it runs twice, and the same both times", path.display());
        // Cargo takes suites by their names, from all rooms.
        let name = path.file_stem().expect("it has a name");
        let namesakes = metadata()
            .workspace_packages()
            .iter()
            .flat_map(|package| &package.targets)
            .filter(|target| target.is_test() && *target.name == *name.to_string_lossy())
            .count();
        assert_eq!(
            namesakes,
            1,
            "{}: another room has a suite of this name",
            path.display()
        );
    }
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .no_deps()
        .exec()
        .expect("cargo metadata runs in a checkout")
}

/// Room and crate of every dependency that is compiled into the room (not of its tests).
fn dependencies(metadata: &Metadata) -> impl Iterator<Item = (&str, &str)> {
    metadata.workspace_packages().into_iter().flat_map(|package| {
        package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
            .map(|dependency| (package.name.as_str(), dependency.name.as_str()))
    })
}

fn rust_files(folder: &Path, found: &mut Vec<(usize, PathBuf)>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the checkout can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file is text");
            found.push((text.lines().count(), path));
        }
    }
}
