//! This machine as a fleet: CPU cores, memory, disks, network interfaces and temperature sensors are its devices.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sysinfo::{Components, CpuRefreshKind, Disks, MemoryRefreshKind, Networks, RefreshKind, System};

/// What one device measured.
pub struct Reading {
    pub device: String,
    pub channel: &'static str,
    pub payload: Value,
}

/// The machine's instruments. Usage and rates are those since the reading before.
pub struct Machine {
    system: System,
    /// A system may hide some of its instruments.
    disks: Option<Disks>,
    networks: Option<Networks>,
    sensors: Option<Components>,
}

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

// ----------------------------------------------------------------------------------------------

impl Machine {
    pub fn new() -> Result<Self> {
        let kinds = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::everything())
            .with_memory(MemoryRefreshKind::everything());
        Ok(Self {
            system: System::new_with_specifics(kinds).context("cannot read this machine's instruments")?,
            disks: Disks::new_with_refreshed_list().ok(),
            networks: Networks::new_with_refreshed_list().ok(),
            sensors: Components::new_with_refreshed_list().ok(),
        })
    }

    /// Reads every instrument. `elapsed` is the time since the reading before.
    pub fn read(&mut self, elapsed: Duration) -> Vec<Reading> {
        self.system.refresh_cpu_all();
        self.system.refresh_memory();
        self.disks.iter_mut().for_each(|disks| disks.refresh(true));
        self.networks.iter_mut().for_each(|networks| networks.refresh(true));
        self.sensors.iter_mut().for_each(|sensors| sensors.refresh(true));
        let mut readings = Vec::new();
        self.read_cores(&mut readings);
        self.read_memory(&mut readings);
        self.read_disks(&mut readings);
        self.read_networks(elapsed, &mut readings);
        self.read_sensors(&mut readings);
        readings
    }

    fn read_cores(&self, readings: &mut Vec<Reading>) {
        for (number, core) in self.system.cpus().iter().enumerate() {
            let payload = json!({ "usage_percent": rounded(core.usage()), "frequency_mhz": core.frequency() });
            readings.push(Reading {
                device: format!("cpu-{number}"),
                channel: "cpu",
                payload,
            });
        }
    }

    fn read_memory(&self, readings: &mut Vec<Reading>) {
        let (used, total) = (self.system.used_memory() as f64, self.system.total_memory() as f64);
        let payload = json!({ "used_gib": rounded(used / GIB), "total_gib": rounded(total / GIB) });
        readings.push(Reading {
            device: "memory".to_owned(),
            channel: "memory",
            payload,
        });
    }

    fn read_disks(&self, readings: &mut Vec<Reading>) {
        // One disk may be mounted in several places.
        let disks: BTreeMap<String, _> = self
            .disks
            .iter()
            .flatten()
            .map(|disk| (disk_name(disk.name()), disk))
            .collect();
        for (name, disk) in disks {
            let (total, free) = (disk.total_space() as f64, disk.available_space() as f64);
            let payload = json!({ "used_gib": rounded((total - free) / GIB), "total_gib": rounded(total / GIB) });
            readings.push(Reading {
                device: format!("disk-{name}"),
                channel: "disk",
                payload,
            });
        }
    }

    fn read_networks(&self, elapsed: Duration, readings: &mut Vec<Reading>) {
        let per_second = |bytes: u64| rounded(bytes as f64 / 1024.0 / elapsed.as_secs_f64().max(0.001));
        let networks: BTreeMap<_, _> = self.networks.iter().flatten().collect();
        for (name, network) in networks {
            let name = name.to_string_lossy();
            let payload = json!({
                "received_kib_per_s": per_second(network.received()),
                "sent_kib_per_s": per_second(network.transmitted()),
            });
            readings.push(Reading {
                device: format!("network-{name}"),
                channel: "network",
                payload,
            });
        }
    }

    fn read_sensors(&self, readings: &mut Vec<Reading>) {
        for sensor in self.sensors.iter().flatten() {
            // A sensor may be there and not tell.
            if let Some(temperature) = sensor.temperature().filter(|t| t.is_finite()) {
                let device = format!("sensor-{}", sensor.label().replace(char::is_whitespace, "-"));
                readings.push(Reading {
                    device,
                    channel: "temperature",
                    payload: json!({ "celsius": rounded(temperature) }),
                });
            }
        }
    }
}

/// The last part of a disk's path, which is what people call it.
fn disk_name(name: &std::ffi::OsStr) -> String {
    let part = Path::new(name).file_name().unwrap_or(name);
    part.to_string_lossy().into_owned()
}

/// Two digits behind the point are what a reader can use.
fn rounded(value: impl Into<f64>) -> f64 {
    (value.into() * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cores_and_memory() {
        let readings = Machine::new().unwrap().read(Duration::from_secs(1));
        let cores = readings.iter().filter(|reading| reading.channel == "cpu").count();
        assert_eq!(
            cores,
            std::thread::available_parallelism().unwrap().get().max(cores),
            "one device per core"
        );
        let memory = readings.iter().find(|reading| reading.channel == "memory").unwrap();
        assert!(
            memory.payload["total_gib"].as_f64().unwrap() > 0.1,
            "{}",
            memory.payload
        );
        let mut names: Vec<_> = readings.iter().map(|reading| &reading.device).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), readings.len(), "every device has a name of its own");
    }
}
