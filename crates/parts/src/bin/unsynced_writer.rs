//! What the layer of `unsynced` is proven with: writes in the way the first argument names into the folder of the second,
//! says so, and waits to be killed.
#![allow(clippy::print_stdout, reason = "the test reads it")]

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
    thread,
};

use anyhow::{Context as _, bail, ensure};
use rusqlite::Connection;

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let how = arguments.next().context("how to write?")?;
    let folder = arguments.next().context("into which folder?")?;
    let file = Path::new(&folder).join("file");
    match &*how {
        "unsynced" => {
            let mut file = File::create(&file)?;
            write_and_look(&mut file)?;
        }
        "synced" => {
            let mut file = File::create(&file)?;
            write_and_look(&mut file)?;
            file.sync_data()?;
        }
        // What came after the sync is lost, what came before is kept as it was then.
        "synced-then-changed" => {
            let mut file = File::create(&file)?;
            write_and_look(&mut file)?;
            file.sync_all()?;
            file.write_all_at(b"XXXX", 0)?;
            file.set_len(6)?;
            file.set_len(8)?;
            ensure!(
                fs::read(Path::new(&folder).join("file"))? == b"XXXX45\0\0",
                "a cut file grows by zeros"
            );
        }
        "exit" => {
            File::create(&file)?.write_all(b"0123456789")?;
            return Ok(());
        }
        "sqlite-off" => sqlite(&folder, "OFF")?,
        "sqlite-full" => sqlite(&folder, "FULL")?,
        _ => bail!("no way to write is called {how}"),
    }
    println!("written");
    loop {
        thread::park();
    }
}

/// Writes `0123456789` in several ways and looks at it in several ways.
fn write_and_look(file: &mut File) -> anyhow::Result<()> {
    file.write_all(b"01234")?;
    file.write_all(b"99999999")?;
    file.write_all_at(b"56789", 5)?;
    file.set_len(10)?;
    ensure!(file.metadata()?.len() == 10, "the size is {}", file.metadata()?.len());
    ensure!(file.seek(SeekFrom::End(-3))? == 7, "the end is elsewhere");
    // Another descriptor of the same file sees it too.
    let path = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)))?;
    let mut other = OpenOptions::new().read(true).open(&path)?;
    let mut text = String::new();
    other.read_to_string(&mut text)?;
    ensure!(text == "0123456789", "it reads {text}");
    ensure!(fs::metadata(&path)?.len() == 10, "the path's size is another");
    Ok(())
}

/// 1,000 rows in 100 transactions, every tenth checkpointed into the database file, by two connections in turn.
fn sqlite(folder: &str, synchronous: &str) -> anyhow::Result<()> {
    let open = || -> anyhow::Result<Connection> {
        let connection = Connection::open(Path::new(folder).join("rows.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        Ok(connection)
    };
    let connections = [open()?, open()?];
    connections[0].execute_batch("CREATE TABLE row (number INTEGER PRIMARY KEY, text TEXT)")?;
    for transaction in 0..100 {
        let connection = &connections[transaction % 2];
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for row in 0..10 {
            let number = transaction * 10 + row;
            connection.execute(
                "INSERT INTO row VALUES (?1, ?2)",
                (number as i64, "text ".repeat(number % 400)),
            )?;
        }
        connection.execute_batch("COMMIT")?;
        if transaction % 10 == 9 {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        }
    }
    let count: i64 = connections[1].query_row("SELECT count(*) FROM row", [], |row| row.get(0))?;
    ensure!(count == 1_000, "the process itself sees {count} rows");
    connections.into_iter().for_each(std::mem::forget);
    Ok(())
}
