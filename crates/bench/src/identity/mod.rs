//! CPU time of the server per handshake, by what the client shows, beside a hyper server that upgrades whoever comes.

mod provider;

use std::{path::Path, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result};
use sockeye_load::{Load, Process, Target};

use crate::{
    process::Server,
    report::{Bar, Table, median, ratios, spread},
    sockeye::{APPLICATION, Sockeye},
};
use provider::Provider;

/// Handshakes of one measurement.
const HANDSHAKES: usize = 6_000;
/// Before what is measured.
const WARM_UP: usize = 200;
/// A server has nothing left to do when it has used no CPU time for this long.
const STILL: Duration = Duration::from_millis(300);

/// What clients show.
struct Shown {
    name: &'static str,
    bar: Bar,
    /// One for all, or one for each in turn.
    targets: Vec<Target>,
    /// Others in each round.
    fresh: bool,
}

// ----------------------------------------------------------------------------------------------

pub fn run(rounds: usize, binary: &Path) -> Result<Table> {
    let provider = Provider::start()?;
    let words = ["--oidc-issuers", &provider.url].map(str::to_owned);
    let sockeye = Sockeye::start_on(binary, &words)?;
    let bare = Server::start(Command::new(std::env::current_exe()?).args(["serve", "upgrade"]), ":")?;
    let bare_target = Target::new(bare.ready.parse()?, "/");
    let path = format!("/{APPLICATION}");
    let plain = Target::new(sockeye.address, &path);
    let with_token = |token: &str| Target {
        headers: format!("Authorization: Bearer {token}\r\n"),
        ..plain.clone()
    };
    let token = provider.token(0);
    let mut table = Table::new(["handshakes", "CPU each", "beside bare hyper", "bar", ""]);
    let mut floor = Vec::new();
    let mut rows = [
        Shown {
            name: "no credentials, public application",
            bar: Bar::None,
            targets: vec![plain.clone()],
            fresh: false,
        },
        Shown {
            name: "access key seen before",
            bar: Bar::AtMost(1.3),
            targets: vec![Target {
                login: Some(sockeye.admin.clone()),
                ..plain.clone()
            }],
            fresh: false,
        },
        Shown {
            name: "JWT RS256 seen before",
            bar: Bar::AtMost(1.5),
            targets: vec![with_token(&token)],
            fresh: false,
        },
        // Who comes alone wakes the server: what the signature costs is the difference of these two.
        Shown {
            name: "JWT RS256 seen before, one by one",
            bar: Bar::None,
            targets: vec![with_token(&token); HANDSHAKES + WARM_UP],
            fresh: false,
        },
        Shown {
            name: "JWT RS256 first seen, one by one",
            bar: Bar::None,
            targets: Vec::new(),
            fresh: true,
        },
    ]
    .map(|shown| (shown, Vec::new()));
    for round in 0..rounds {
        eprintln!("identity: round {} of {rounds}", round + 1);
        floor.push(measure(&bare, std::slice::from_ref(&bare_target))?);
        for (shown, cpu) in &mut rows {
            if shown.fresh {
                let first = 1 + round * (HANDSHAKES + WARM_UP);
                let tokens = (first..)
                    .take(HANDSHAKES + WARM_UP)
                    .map(|number| provider.token(number));
                shown.targets = tokens.map(|token| with_token(&token)).collect();
            }
            cpu.push(measure(&sockeye.server, &shown.targets)?);
        }
    }
    table.row(["bare hyper".to_owned(), format!("{:.1} us", median(&floor))]);
    for (shown, cpu) in rows {
        let ratios = ratios(&cpu, &floor);
        let [bar, verdict] = shown.bar.cells(median(&ratios));
        table.row([
            shown.name.to_owned(),
            format!("{:.1} us", median(&cpu)),
            spread(&ratios),
            bar,
            verdict,
        ]);
    }
    let check = provider.bare_check()?;
    table.row(["RS256 signature check alone".to_owned(), format!("{check:.1} us")]);
    Ok(table)
}

/// Microseconds of CPU time per handshake; of one target all, else each of its own.
fn measure(server: &Server, targets: &[Target]) -> Result<f64> {
    let process = server.process()?;
    settle(process)?;
    let mut load = Load::new()?;
    let mut left = targets.iter();
    let mut open = |count: usize| -> Result<()> {
        if let [one] = targets {
            return load.open(one.clone(), count, |_| {});
        }
        for target in left.by_ref().take(count) {
            load.open(target.clone(), 1, |_| {})?;
        }
        Ok(())
    };
    open(WARM_UP).context("the server refuses")?;
    settle(process)?;
    let before = process.usage()?.cpu;
    open(HANDSHAKES)?;
    let used = process.usage()?.cpu.saturating_sub(before);
    Ok(used.as_secs_f64() * 1e6 / HANDSHAKES as f64)
}

/// Waits until the sockets of the measurement before have gone.
#[expect(
    clippy::disallowed_methods,
    reason = "that nothing happens for a while is the condition itself"
)]
fn settle(process: Process) -> Result<()> {
    let mut used = process.usage()?.cpu;
    loop {
        thread::sleep(STILL);
        let now = process.usage()?.cpu;
        if now == used {
            return Ok(());
        }
        used = now;
    }
}
