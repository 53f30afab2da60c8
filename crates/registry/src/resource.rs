//! Applications and devices, as documents.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// What applications and devices have in common (compat/drogue.md 4.1). Empty maps and lists are left out in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The application of a device; absent on applications.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub application: String,
    /// Unique among applications, or among the devices of an application.
    pub name: String,
    /// Never used twice: a resource that is deleted and made again has another.
    #[serde(default)]
    pub uid: Uuid,
    /// When it was made.
    #[serde(default)]
    pub creation_timestamp: Timestamp,
    /// Grows by one whenever something under `spec` changes.
    #[serde(default)]
    pub generation: u64,
    /// Another one after every stored change.
    #[serde(default)]
    pub resource_version: Uuid,
    /// Set while finalizers hold a deleted resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<Timestamp>,
    /// Who has to agree before a deleted resource goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
    /// For selection.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// For people and tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A tenant: owns devices, members and one event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// Name, identity, labels.
    pub metadata: Metadata,
    /// What is wanted (compat/drogue.md 4.3).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub spec: Map<String, Value>,
    /// What is.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub status: Map<String, Value>,
    /// The user who may do everything; not part of the document.
    #[serde(skip)]
    pub owner: String,
    /// The user to whom the owner offers it (compat/drogue.md 4.4); not part of the document.
    #[serde(skip)]
    pub offered_to: Option<String>,
    /// Users and their roles; not part of the document. The member `""` makes the application public
    /// (compat/drogue.md 3.5).
    #[serde(skip)]
    pub members: BTreeMap<String, Role>,
}

/// A device of an application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Name, identity, labels.
    pub metadata: Metadata,
    /// What is wanted; [`crate::DeviceSpec`] reads it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub spec: Map<String, Value>,
    /// What is.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub status: Map<String, Value>,
}

/// What a member may do (compat/drogue.md 3.5); each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read events and documents.
    Reader,
    /// Change devices, send commands.
    Manager,
    /// Change the application and its members.
    Admin,
}

// ----------------------------------------------------------------------------------------------

impl Metadata {
    /// The metadata of a document that is about to be stored: what the engine sets is empty.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            application: String::new(),
            name: name.into(),
            uid: Uuid::nil(),
            creation_timestamp: Timestamp::UNIX_EPOCH,
            generation: 0,
            resource_version: Uuid::nil(),
            deletion_timestamp: None,
            finalizers: Vec::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }
}

impl Application {
    /// An application without devices, members and spec.
    pub fn named(name: impl Into<String>, owner: impl Into<String>) -> Self {
        Self {
            metadata: Metadata::named(name),
            spec: Map::new(),
            status: Map::new(),
            owner: owner.into(),
            offered_to: None,
            members: BTreeMap::new(),
        }
    }

    /// Whether anyone may read it, without credentials too.
    pub fn is_public(&self) -> bool {
        self.members.contains_key("")
    }

    /// Whether it is being deleted: nothing is published or read there any more (compat/drogue.md 5.1).
    pub fn is_going(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether `spec.core.disabled` is set, or cannot be read (compat/drogue.md 5.1): its devices cannot publish.
    pub fn is_disabled(&self) -> bool {
        is_disabled(&self.spec)
    }
}

impl Device {
    /// A device without spec.
    pub fn named(application: impl Into<String>, name: impl Into<String>) -> Self {
        let mut metadata = Metadata::named(name);
        metadata.application = application.into();
        Self {
            metadata,
            spec: Map::new(),
            status: Map::new(),
        }
    }

    /// Whether `spec.core.disabled` is set, or cannot be read.
    pub fn is_disabled(&self) -> bool {
        is_disabled(&self.spec)
    }
}

fn is_disabled(spec: &Map<String, Value>) -> bool {
    match spec.get("core") {
        None => false,
        Some(Value::Object(core)) => !matches!(core.get("disabled"), None | Some(Value::Bool(false))),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_disabled() {
        let disabled = |spec: Value| is_disabled(spec.as_object().unwrap());
        for spec in [json!({}), json!({"core": {}}), json!({"core": {"disabled": false}})] {
            assert!(!disabled(spec.clone()), "{spec}");
        }
        for spec in [
            json!({"core": {"disabled": true}}),
            json!({"core": {"disabled": "no"}}),
            json!({"core": false}),
        ] {
            assert!(disabled(spec.clone()), "{spec}");
        }
    }

    #[test]
    fn a_fresh_application_shows_only_what_it_has() {
        let mut application = Application::named("app", "me");
        application.members.insert(String::new(), Role::Reader);
        let shown = serde_json::to_value(&application).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&shown), ["metadata"]);
        let mut names = keys(&shown["metadata"]);
        names.sort();
        assert_eq!(
            names,
            ["creationTimestamp", "generation", "name", "resourceVersion", "uid"]
        );
    }

    #[test]
    fn a_document_needs_only_a_name_and_no_unknown_metadata() {
        let read = |value: Value| serde_json::from_value::<Device>(value);
        let device = read(json!({"metadata": {"application": "app", "name": "d"}, "spec": {"x": 1}})).unwrap();
        assert_eq!(
            (device.metadata.application.as_str(), device.metadata.uid),
            ("app", Uuid::nil())
        );
        assert!(read(json!({"metadata": {"application": "app", "name": "d", "colour": "red"}})).is_err());
        assert!(read(json!({"metadata": {"application": "app"}})).is_err());
    }
}
