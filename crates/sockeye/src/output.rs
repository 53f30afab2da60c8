//! How results are shown: a table for people, JSON for programs.

use std::{
    fmt::Display,
    io::{IsTerminal as _, Write as _},
    sync::LazyLock,
};

use anyhow::Result;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use crossterm::style::{Color, Stylize as _, style};
use serde_json::Value;

/// The form of what a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Pretty,
    /// For programs: one JSON text per line.
    Json,
}

/// A column of a table: its head, and what stands there for an entry.
pub type Column<'a> = (&'a str, fn(&Value) -> String);

// ----------------------------------------------------------------------------------------------

impl Output {
    /// What was asked for; else for people on a terminal and for programs in a pipe.
    pub fn or_by_terminal(asked: Option<Self>) -> Self {
        asked.unwrap_or(if std::io::stdout().is_terminal() {
            Self::Pretty
        } else {
            Self::Json
        })
    }
}

/// Prints one line. A reader that went away (`| head`) is no error: it ends the program quietly.
pub fn line(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush())
    {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// Prints a list: as a table with these columns, or each entry as a line of JSON.
pub fn list(output: Output, entries: &[Value], columns: &[Column<'_>]) -> Result<()> {
    if output == Output::Json {
        return entries.iter().try_for_each(|entry| line(&entry.to_string()));
    }
    let mut table = table();
    table.set_header(columns.iter().map(|(name, _)| *name));
    for entry in entries {
        table.add_row(columns.iter().map(|(_, value)| value(entry)));
    }
    line(&table.to_string())
}

/// Prints one document: indented, or as one line.
pub fn document(output: Output, document: &Value) -> Result<()> {
    line(&match output {
        Output::Json => document.to_string(),
        Output::Pretty => serde_json::to_string_pretty(document)?,
    })
}

/// Says on standard error what was done, so that standard output stays for results. In one write, so that what another
/// process says on the same terminal does not come between a line and its end.
pub fn say(text: &str) {
    // Where nobody listens, nothing is lost.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// The text in a colour, where people read it and do not refuse it (`NO_COLOR`).
pub fn colored(text: impl Display, color: Color) -> String {
    static PEOPLE: LazyLock<bool> =
        LazyLock::new(|| std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    if *PEOPLE {
        style(text).with(color).to_string()
    } else {
        text.to_string()
    }
}

/// A table without frames, as wide as the terminal.
pub fn table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// The text at a JSON pointer, empty if there is none.
pub fn text_at(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
