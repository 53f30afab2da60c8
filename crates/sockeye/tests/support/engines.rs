//! Where the servers of tests keep things: in the data file, or, if `SOCKEYE_TEST_ENGINES=elsewhere`, in a real Kafka and a real
//! PostgreSQL. `scripts/test` runs every suite both ways, but for those that say why they run once.

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

/// Partitions of new topics.
pub const PARTITIONS: u16 = 3;

/// A place of its own for a server, elsewhere than in its data file.
#[derive(Clone)]
pub struct Place {
    /// URL of a database.
    pub postgres: String,
    /// What its topics are called.
    pub topics: String,
}

// ----------------------------------------------------------------------------------------------

/// Whether they are elsewhere than in the data file.
pub fn are_elsewhere() -> bool {
    match std::env::var("SOCKEYE_TEST_ENGINES").as_deref() {
        Err(_) | Ok("file") => false,
        Ok("elsewhere") => true,
        Ok(other) => panic!("SOCKEYE_TEST_ENGINES is `{other}`: `file` or `elsewhere`"),
    }
}

/// Where a server on this folder keeps things, if that is elsewhere: the same place for each start on the same folder, which no other
/// has.
pub fn place(data: &Path) -> Option<Place> {
    static PLACES: Mutex<Option<HashMap<PathBuf, Place>>> = Mutex::new(None);
    if !are_elsewhere() {
        return None;
    }
    let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    let places = places.get_or_insert_default();
    let next = places.len();
    let place = places.entry(data.to_owned()).or_insert_with(|| Place {
        postgres: postgres().database().expect("a database can be made"),
        topics: format!("test{next}-{{application}}"),
    });
    Some(place.clone())
}

/// Lets a server on this folder keep things where the tests want them; what its command line says goes before.
pub fn choose(data: &Path, command: &mut Command) {
    if let Some(place) = place(data) {
        command
            .env("SOCKEYE_POSTGRES", place.postgres)
            .env("SOCKEYE_KAFKA", kafka().bootstrap())
            .env("SOCKEYE_KAFKA_TOPICS", place.topics)
            .env("SOCKEYE_KAFKA_PARTITIONS", PARTITIONS.to_string());
    }
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
