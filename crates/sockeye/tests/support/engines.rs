//! Where the servers of tests keep things: in the data file, or, if `SOCKEYE_TEST_ENGINES=elsewhere`, in a real Kafka and a real
//! PostgreSQL. `scripts/test` runs the tests for which that matters both ways.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use sockeye_parts::{
    kafka::{self, Kafka},
    postgres::{self, Postgres},
};

/// Whether they are elsewhere than in the data file.
pub fn are_elsewhere() -> bool {
    match std::env::var("SOCKEYE_TEST_ENGINES").as_deref() {
        Err(_) | Ok("file") => false,
        Ok("elsewhere") => true,
        Ok(other) => panic!("SOCKEYE_TEST_ENGINES is `{other}`: `file` or `elsewhere`"),
    }
}

/// Lets a server on this folder keep things where the tests want them: the same place for each start on the same folder, which no
/// other has.
pub fn choose(data: &Path, command: &mut Command) {
    /// Database and names of topics, by folder.
    static PLACES: Mutex<Option<HashMap<PathBuf, (String, String)>>> = Mutex::new(None);
    if !are_elsewhere() {
        return;
    }
    let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    let places = places.get_or_insert_default();
    let next = places.len();
    let (url, topics) = places.entry(data.to_owned()).or_insert_with(|| {
        let url = postgres().database().expect("a database can be made");
        (url, format!("test{next}-{{application}}"))
    });
    command.env("SOCKEYE_POSTGRES", url);
    command.args(["--kafka", &kafka().bootstrap(), "--kafka-topics", topics]);
    command.args(["--kafka-partitions", "3"]);
}

/// The Kafka of this process.
pub fn kafka() -> &'static Kafka {
    let kafka = kafka::shared().expect("Kafka can be had");
    kafka.expect("there is nothing to test without Kafka")
}

/// The PostgreSQL of this process.
pub fn postgres() -> &'static Postgres {
    let postgres = postgres::shared().expect("PostgreSQL can be had");
    postgres.expect("there is nothing to test without PostgreSQL")
}
