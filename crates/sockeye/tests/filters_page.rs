//! The page about filters: every command prints what the page shows, every row of its tables is true.
//!
//! Runs once: no server runs.

use std::{path::Path, process::Command};

use sockeye_filter::{Filter, Scratch, Shape};

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/filters.md");
    std::fs::read_to_string(page).expect("the page is there")
}

/// The blocks of the page, each with what stands behind its opening quotes.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let parts = page.split("\n```").skip(1).step_by(2);
    parts.filter_map(|part| part.split_once('\n')).collect()
}

#[test]
fn every_command_prints_what_the_page_shows() {
    let (page, folder) = (page(), tempfile::tempdir().expect("a folder"));
    let path = std::env::var("PATH").expect("there is a PATH");
    let binary = Path::new(env!("CARGO_BIN_EXE_sockeye"))
        .parent()
        .expect("it is in a folder");
    let mut commands = 0;
    for (kind, text) in blocks(&page) {
        if let Some(name) = kind.strip_prefix("json ") {
            std::fs::write(folder.path().join(name), format!("{text}\n")).expect("the folder can be written");
        }
        for command in format!("\n{text}").split("\n$ ").skip(1).filter(|_| kind == "console") {
            let (typed, shown) = command.split_once('\n').unwrap_or((command, ""));
            let output = Command::new("bash")
                .args(["-c", &format!("exec 2>&1; {typed}")])
                .current_dir(folder.path())
                .env("PATH", format!("{}:{path}", binary.display()))
                .output()
                .expect("bash runs");
            assert_eq!(
                String::from_utf8_lossy(&output.stdout).trim_end(),
                shown.trim_end(),
                "{typed}"
            );
            commands += 1;
        }
    }
    assert!(commands >= 7, "the page has examples");
}

#[test]
fn every_row_of_the_tables_is_true() {
    let page = page();
    let mut rows = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        // In code, a `|` would be part of an example: there is none.
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [.., filter, passes, does_not] = &cells[..] else {
            continue;
        };
        let code = |cell: &str| Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned());
        let (Some(text), Some(passes), Some(does_not)) = (code(filter), code(passes), code(does_not)) else {
            continue;
        };
        let filter = Filter::parse(&text, Shape::Document).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut scratch = Scratch::default();
        assert!(filter.passes(passes.as_bytes(), &mut scratch), "{line}");
        assert!(!filter.passes(does_not.as_bytes(), &mut scratch), "{line}");
        rows += 1;
    }
    assert_eq!(rows, 19);
}
