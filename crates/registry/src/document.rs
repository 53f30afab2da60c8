//! The rules of documents that hold in every engine (compat/drogue.md 4.1, 4.2): versions, preconditions, and how a resource goes.

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Application, Device, Metadata, Preconditions, WriteError};

/// The finalizer of an application that is being deleted and still has devices. It is the platform's: whoever replaces finalizers
/// neither adds nor removes it then.
pub const HAS_DEVICES: &str = "has-devices";

/// What applications and devices have in common, as engines keep it.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Name, identity, labels.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: Map<String, Value>,
    /// What is.
    pub status: Map<String, Value>,
}

// ----------------------------------------------------------------------------------------------

impl Document {
    /// Takes over what an update replaces; whether anything changed, and with it the version.
    pub fn replace(&mut self, wanted: Self) -> bool {
        let mine = &mut self.metadata;
        let spec_changed = self.spec != wanted.spec;
        let metadata_changed = mine.finalizers != wanted.metadata.finalizers
            || mine.labels != wanted.metadata.labels
            || mine.annotations != wanted.metadata.annotations;
        if !spec_changed && !metadata_changed && self.status == wanted.status {
            return false;
        }
        mine.finalizers = wanted.metadata.finalizers;
        mine.labels = wanted.metadata.labels;
        mine.annotations = wanted.metadata.annotations;
        mine.generation += u64::from(spec_changed);
        mine.resource_version = Uuid::new_v4();
        self.spec = wanted.spec;
        self.status = wanted.status;
        true
    }

    /// Whether it is being deleted: finalizers hold it.
    pub fn is_going(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether it is being deleted, and nothing holds it any more.
    pub fn is_gone(&self) -> bool {
        self.is_going() && self.metadata.finalizers.is_empty()
    }

    /// Marks it as being deleted. What is so already is not there for who wants to delete it.
    pub fn mark(&mut self, what: &'static str) -> Result<(), WriteError> {
        if self.is_going() {
            return Err(WriteError::NotFound(what));
        }
        self.metadata.deletion_timestamp = Some(Timestamp::now());
        self.metadata.resource_version = Uuid::new_v4();
        Ok(())
    }

    /// Lets an application that is being deleted be held by its devices, or not.
    pub fn hold(&mut self, has_devices: bool) {
        if self.is_going() {
            let finalizers = &mut self.metadata.finalizers;
            finalizers.retain(|finalizer| finalizer != HAS_DEVICES);
            if has_devices {
                finalizers.push(HAS_DEVICES.to_owned());
            }
        }
    }
}

impl Preconditions {
    /// Demands that a change may be made of `what` this is.
    pub fn check(self, is: &Metadata, what: &'static str) -> Result<(), WriteError> {
        let holds = |wanted: Option<Uuid>, is: Uuid| wanted.is_none_or(|wanted| wanted == is);
        if holds(self.uid, is.uid) && holds(self.resource_version, is.resource_version) {
            Ok(())
        } else {
            Err(WriteError::Precondition(what))
        }
    }
}

impl Metadata {
    /// Makes it that of a resource that is new now.
    pub fn renew(&mut self) {
        self.uid = Uuid::new_v4();
        self.resource_version = Uuid::new_v4();
        self.creation_timestamp = Timestamp::now();
        self.generation = 0;
        self.deletion_timestamp = None;
    }
}

impl From<Application> for Document {
    fn from(application: Application) -> Self {
        let Application {
            metadata, spec, status, ..
        } = application;
        Self { metadata, spec, status }
    }
}

impl From<Device> for Document {
    fn from(device: Device) -> Self {
        let Device { metadata, spec, status } = device;
        Self { metadata, spec, status }
    }
}
