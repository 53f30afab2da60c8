//! `sockeye filter`: the language of `where` and `fields` at the command line, like grep for JSON lines.

use std::{
    io::{BufRead as _, BufReader, BufWriter, ErrorKind, Read as _, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use clap::Args;
use sockeye_event::json;
use sockeye_filter::{Fields, Filter, FilterError, Scratch, Shape, has_content};
use sockeye_limits as limits;

use crate::output;

/// Filter JSON lines as a stream would be filtered.
///
/// Of the lines of standard input, each a JSON text, those are printed that pass, as they came, or what `--fields` selects of
/// them. What would be sent is printed: objects and arrays that are not empty. docs/filters.md teaches the language.
///
/// A filter that is wrong ends with status 2.
#[derive(Args, Debug)]
pub struct FilterArgs {
    /// Which lines: conditions that all hold, such as `status=in:failed,stopped;attrs.temperature=gt:20`.
    #[arg(
        long = "where",
        value_name = "CONDITIONS",
        allow_hyphen_values = true,
        required_unless_present = "fields"
    )]
    conditions: Option<String>,
    /// What of them, such as `attrs(temperature,humidity),metadata/timestamp`.
    #[arg(long, value_name = "SELECTOR", allow_hyphen_values = true)]
    fields: Option<String>,
    /// Say in words what this means, and read nothing.
    #[arg(long)]
    explain: bool,
}

/// Lines that are no JSON.
#[derive(Default)]
struct LeftOut {
    count: u64,
    /// Number of the line, and what is wrong.
    first: Option<(u64, json::JsonError)>,
}

// ----------------------------------------------------------------------------------------------

/// Status of a filter that is wrong, as grep's of a pattern.
const WRONG: u8 = 2;

pub fn run(args: &FilterArgs) -> Result<ExitCode> {
    let conditions = args.conditions.as_deref().unwrap_or_default();
    let filter = match Filter::parse(conditions, Shape::Document) {
        Ok(filter) => filter,
        Err(error) => return Ok(wrong("--where", conditions, &error)),
    };
    let fields = match args.fields.as_deref().map(|text| (text, Fields::parse(text))) {
        None => None,
        Some((_, Ok(fields))) => Some(fields),
        Some((text, Err(error))) => return Ok(wrong("--fields", text, &error)),
    };
    if args.explain {
        let fields = fields.map(|fields| fields.explain()).unwrap_or_default();
        output::line(format!("{}{fields}", filter.explain()).trim_end())?;
    } else {
        lines(&filter, fields.as_ref())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn wrong(argument: &str, text: &str, error: &FilterError) -> ExitCode {
    output::say(&format!("{} {error}", error.code.number()));
    let before = " ".repeat(argument.len());
    let shown = error.show(text);
    let mut lines = shown.lines();
    for (margin, line) in [argument, &before].into_iter().zip(&mut lines) {
        output::say(&format!("{margin} {line}"));
    }
    ExitCode::from(WRONG)
}

/// What would be sent of the lines of standard input.
fn lines(filter: &Filter, fields: Option<&Fields>) -> Result<()> {
    let mut input = BufReader::with_capacity(limits::FILTER_LINES, std::io::stdin().lock());
    let mut out = BufWriter::with_capacity(limits::FILTER_LINES, std::io::stdout().lock());
    let (mut line, mut selected, mut scratch) = (Vec::new(), BytesMut::new(), Scratch::default());
    let (mut number, mut left_out) = (0, LeftOut::default());
    loop {
        line.clear();
        let most = limits::FILTER_LINE as u64;
        let read = (&mut input).take(most + 1).read_until(b'\n', &mut line);
        if read.context("cannot read standard input")? == 0 {
            break;
        }
        number += 1;
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if text.len() as u64 > most {
            bail!("line {number} is longer than {most} bytes");
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        if let Err(error) = json::validate(text) {
            left_out.count += 1;
            left_out.first.get_or_insert((number, error));
        } else if filter.passes(text, &mut scratch) {
            selected.clear();
            let sent = match fields {
                None => has_content(text).then_some(text),
                Some(fields) => fields
                    .project(text, &mut scratch, &mut selected)
                    .then_some(&selected[..]),
            };
            if let Some(sent) = sent {
                quietly(out.write_all(sent).and_then(|()| out.write_all(b"\n")))?;
            }
        }
        // Whoever waits for what comes slowly has it at once.
        if input.buffer().is_empty() {
            quietly(out.flush())?;
        }
    }
    quietly(out.flush())?;
    if let LeftOut {
        count,
        first: Some((at, error)),
    } = left_out
    {
        output::say(&format!(
            "{count} of {number} lines were left out; line {at} is {error}"
        ));
    }
    Ok(())
}

/// A reader that went away (`| head`) is no error: it ends the program.
fn quietly(result: std::io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("cannot write to standard output"),
    }
}
