//! Folders, files and addresses that a server cannot use: it does not start, says why in one line with the thing and the
//! remedy, ends with 1, and has touched nothing. Where the data file is not used, only the folder matters; what is wrong with engines
//! elsewhere is in `mixes.rs`.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;

use sockeye_parts::disk::Disk;
use sockeye_server::DATA_FILE;

use crate::support::{Server, engines, sockeye};

/// A start on this folder fails, and says all of this.
fn check(data: &Path, flags: &[&str], said: &[&str]) {
    let mut command = sockeye();
    command.args([
        "serve",
        "--http-bind",
        "127.0.0.1:0",
        "--metrics-bind",
        "off",
        "--log-level",
        "off",
        "--data",
    ]);
    engines::choose(data, &mut command);
    let output = command.arg(data).args(flags).output().expect("the binary starts");
    let error = String::from_utf8_lossy(&output.stderr);
    let about = format!("{} {flags:?}: {error}", data.display());
    assert_eq!(output.status.code(), Some(1), "{about}");
    assert!(
        error.starts_with("error: ") && error.trim_end().lines().count() == 1,
        "one line: {about}"
    );
    for part in said {
        assert!(error.contains(part), "`{part}`: {about}");
    }
    assert!(output.stdout.is_empty(), "it did not listen: {about}");
}

/// The bytes of a data file that a server has closed.
fn data_file() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::with_device(folder.path());
    assert!(server.terminate().success());
    fs::read(folder.path().join(DATA_FILE)).unwrap()
}

#[test]
fn files_that_are_not_taken() {
    if engines::are_elsewhere() {
        return; // there is no file
    }
    let whole = data_file();
    // SQLite file format section 1.3: at 60 the user version, at 68 the application's number.
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = whole.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    for (content, said) in [
        (
            b"my notes, and nothing that a database begins with".repeat(9),
            &["is no file of Sockeye", "move it away"][..],
        ),
        (with(68, b"note"), &["is no file of Sockeye", "another data folder"]),
        (
            with(60, &99_u32.to_be_bytes()),
            &["has version 99", "use a later release"],
        ),
        (with(100, &[7; 4000]), &["is damaged", "`sockeye restore`"]),
        (whole[..whole.len() / 2].to_vec(), &["is damaged", "`sockeye restore`"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(DATA_FILE);
        fs::write(&file, &content).unwrap();
        check(folder.path(), &[], &[said, &[file.to_str().unwrap()]].concat());
        assert!(fs::read(&file).unwrap() == content, "the file is untouched: {said:?}");
        assert!(!folder.path().join("admin-key").exists(), "no key was made: {said:?}");
    }
}

#[test]
fn folders_that_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "a file").unwrap();
    let inside = file.join("inside");
    let nowhere = Path::new("/proc/sockeye");
    for data in [&file, &inside, nowhere] {
        check(data, &[], &[data.to_str().unwrap(), "give another with --data"]);
    }
    if !engines::are_elsewhere() {
        // The name of the data file is taken by a folder.
        let odd = folder.path().join("odd");
        fs::create_dir_all(odd.join(DATA_FILE)).unwrap();
        check(&odd, &[], &[odd.join(DATA_FILE).to_str().unwrap(), "cannot be opened"]);
    }
    // Nor can the key be written over a folder.
    let key = folder.path().join("key");
    fs::create_dir_all(key.join("admin-key")).unwrap();
    check(
        &key,
        &[],
        &[key.join("admin-key").to_str().unwrap(), "another folder with --data"],
    );
}

#[test]
fn a_disk_that_cannot_be_written() {
    if engines::are_elsewhere() {
        return; // what is full there, Kafka says: `kafka_faults`
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path(), "8m").unwrap() else {
        return;
    };
    let data = folder.path().join("data");
    let mut server = Server::with_device(&data);
    assert!(server.terminate().success());
    // Full: an old file and a new one (of a server that runs, `full_disk.rs` tells).
    let ballast = folder.path().join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let new = folder.path().join("new");
    for data in [&data, &new] {
        check(data, &[], &[data.join(DATA_FILE).to_str().unwrap(), "has room"]);
    }
    fs::remove_file(&ballast).unwrap();
    drop(file);
    assert!(Server::start(&data).terminate().success(), "there is room");

    disk.make_read_only().unwrap();
    check(
        &data,
        &[],
        &[
            data.to_str().unwrap(),
            "cannot be opened for writing",
            "mounted read-only",
        ],
    );
    let newer = folder.path().join("newer");
    check(&newer, &[], &[newer.to_str().unwrap(), "give another with --data"]);
}

#[test]
fn a_second_server_and_addresses_that_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::with_device(&data);
    // Elsewhere, several servers are nodes of one installation.
    if !engines::are_elsewhere() {
        let pid = format!("process {}", server.pid());
        let (data_text, said) = (data.to_str().unwrap(), "in use by another server");
        check(&data, &[], &[data_text, said, &pid, "stop that one"]);
    }

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let other = folder.path().join("other");
    for (flag, address, why) in [
        ("--http-bind", taken.as_str(), "another program"),
        ("--metrics-bind", &taken, "another program"),
        (
            "--http-bind",
            "192.0.2.1:8080",
            "this machine does not have the address",
        ),
    ] {
        check(
            &other,
            &[flag, address],
            &[address, why, &format!("another address with {flag}")],
        );
        assert!(!other.exists(), "nothing was begun");
    }
    assert!(server.cli_ok(&["app", "list"]).contains("app"), "the first one goes on");
}
