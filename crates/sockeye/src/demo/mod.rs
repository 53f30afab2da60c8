//! `sockeye demo`: the main job on real input, with nothing to set up.
//!
//! A server on free ports with a throw-away folder; this machine's instruments as its devices, which publish over HTTP;
//! and a client that streams the readings back over a WebSocket.

mod board;
mod machine;

use std::{
    collections::HashMap,
    io::IsTerminal as _,
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use clap::Args;
use sockeye_event::structured;
use sockeye_server::{Config, KEY_FILE, Server};
use tokio::time::MissedTickBehavior;
use url::Url;

use self::{board::Board, machine::Machine};
use crate::{
    app,
    client::{Client, Login},
    device,
    output::{self, Output},
    publish::Publisher,
    socket::{Ended, Socket, Source},
    stream,
    trust::Trust,
    value,
};

/// The application that the Drogue project's public demonstration used.
pub const APPLICATION: &str = "drogue-public-temperature";
/// The device as which the user may publish.
const VISITOR: &str = "you";
const INTERVAL: Duration = Duration::from_secs(1);
/// The table is drawn at most this often.
const FRAME: Duration = Duration::from_millis(250);

/// Watch this machine: its instruments publish, and their readings come back over a WebSocket.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// End after this many events.
    #[arg(long, short = 'n', value_name = "N", value_parser = value::count)]
    events: Option<u64>,
    /// Form of what is printed: `json` prints each event as it came, one a line.
    #[arg(long, short, value_name = "FORM", default_value = "pretty")]
    output: Output,
}

// ----------------------------------------------------------------------------------------------

pub async fn run(args: DemoArgs) -> Result<()> {
    let folder =
        tempfile::tempdir().context("cannot make a temporary folder: set TMPDIR to one that can be written")?;
    let server = Server::start(config(folder.path())).await?;
    let url = Url::parse(&format!("http://{}", server.http_address()))?;
    let result = watch(&args, &url, &folder.path().join(KEY_FILE)).await;
    server.stop().await;
    result
}

/// Free ports, and nothing that outlives the demo.
fn config(folder: &Path) -> Config {
    Config {
        data: folder.to_owned(),
        http_bind: (Ipv4Addr::LOCALHOST, 0).into(),
        metrics_bind: None,
        ..Config::default()
    }
}

async fn watch(args: &DemoArgs, url: &Url, key_file: &Path) -> Result<()> {
    let key = std::fs::read_to_string(key_file).with_context(|| format!("cannot read {}", key_file.display()))?;
    let client = Client::new(url.clone(), Some(Login::parse(&key)?), &Trust::default())?;
    app::create(&client, APPLICATION).await?;
    app::make_public(&client, APPLICATION).await?;
    let password = device::new_password();
    device::create(&client, APPLICATION, VISITOR, &password, &[]).await?;
    // Anyone may read a public application: no key.
    let source = Source {
        url: url.clone(),
        application: APPLICATION.to_owned(),
        channel: None,
        login: None,
        trust: Trust::default(),
        // Readings, not what is told of the instruments.
        parameters: vec![("type", sockeye_event::event::TYPE_EVENT.to_owned())],
    };
    let mut socket = source.connect(None).await.map_err(|why| ended(&why))?;
    let hints = hints(url, &password);
    if args.output == Output::Json || !std::io::stdout().is_terminal() {
        output::say(&hints);
    }
    let fleet = publish_readings(&client, url);
    let shown = show(args, &mut socket, &hints);
    tokio::select! {
        result = fleet => result,
        result = shown => result,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Every second each instrument is a device that publishes its reading. New instruments become devices as they appear.
async fn publish_readings(client: &Client, url: &Url) -> Result<()> {
    let mut machine = Machine::new()?;
    let mut fleet: HashMap<String, Publisher> = HashMap::new();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Instant::now();
    loop {
        ticks.tick().await;
        let readings = machine.read(before.elapsed());
        before = Instant::now();
        for reading in readings {
            let name = format!("{}/{}", reading.device, reading.channel);
            if !fleet.contains_key(&name) {
                let password = device::new_password();
                device::create(client, APPLICATION, &reading.device, &password, &[]).await?;
                let client = Client::for_device(url.clone(), &Trust::default())?;
                let publisher = Publisher::new(client, APPLICATION, reading.channel, &reading.device, &password);
                fleet.insert(name.clone(), publisher);
            }
            fleet[&name].one(reading.payload.to_string().into_bytes(), None).await?;
        }
    }
}

/// Shows events until there were enough of them.
async fn show(args: &DemoArgs, socket: &mut Socket, hints: &str) -> Result<()> {
    let live = args.output == Output::Pretty && std::io::stdout().is_terminal();
    let mut board = Board::default();
    let mut drawn: Option<Instant> = None;
    for _ in 0..args.events.unwrap_or(u64::MAX) {
        let text = socket.next().await.map_err(|why| ended(&why))?;
        if !live {
            stream::print(args.output, &text)?;
            continue;
        }
        board.add(&structured::decode(&Bytes::from(text))?);
        if drawn.is_none_or(|at| at.elapsed() >= FRAME) {
            board.draw(hints)?;
            drawn = Some(Instant::now());
        }
    }
    if live {
        board.draw(hints)?;
    }
    Ok(())
}

fn ended(ended: &Ended) -> anyhow::Error {
    anyhow!("the stream ended: {ended}")
}

/// What to try while the demo runs.
fn hints(url: &Url, password: &str) -> String {
    let origin = url.as_str().trim_end_matches('/');
    let socket = origin.replacen("http", "ws", 1);
    format!(
        "\nTry, in another terminal:\n  \
         sockeye stream {APPLICATION} --url {origin}\n  \
         websocat {socket}/{APPLICATION}\n  \
         curl -u '{VISITOR}@{APPLICATION}:{password}' --json '{{\"celsius\":21.5}}' {origin}/v1/temperature\n\
         or, in the console of a browser:\n  \
         new WebSocket(\"{socket}/{APPLICATION}\").onmessage = m => console.log(m.data)\n\
         Ctrl-C ends the demo; its folder is removed."
    )
}
