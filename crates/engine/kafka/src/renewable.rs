//! A client that others than its user need not know.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::types::RDKafkaErrorCode as Code;

use crate::OptionsError;

/// A client that is made when it is first needed, and may be given up: the next call makes another one.
pub(crate) struct Renewable<C> {
    make: Box<dyn Fn() -> Result<Arc<C>, OptionsError> + Send + Sync>,
    client: Mutex<Option<Arc<C>>>,
}

// ----------------------------------------------------------------------------------------------

impl<C> Renewable<C> {
    pub(crate) fn new(make: impl Fn() -> Result<Arc<C>, OptionsError> + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(make),
            client: Mutex::default(),
        }
    }

    /// With the first client made now.
    pub(crate) fn made(
        make: impl Fn() -> Result<Arc<C>, OptionsError> + Send + Sync + 'static,
    ) -> Result<Self, OptionsError> {
        let client = Mutex::new(Some(make()?));
        Ok(Self {
            make: Box::new(make),
            client,
        })
    }

    /// The client.
    pub(crate) fn get(&self) -> Result<Arc<C>, Code> {
        let mut current = self.lock();
        if let Some(client) = &*current {
            return Ok(client.clone());
        }
        let client = (self.make)().map_err(|error| {
            // The same options have made clients before.
            tracing::error!(%error, "a client of Kafka cannot be made");
            Code::InvalidConfig
        })?;
        Ok(current.insert(client).clone())
    }

    /// The client, if there is one now.
    pub(crate) fn current(&self) -> Option<Arc<C>> {
        self.lock().clone()
    }

    /// Does not use this client again; who has it now may go on with it.
    pub(crate) fn give_up(&self, client: &Arc<C>) {
        self.lock().take_if(|current| Arc::ptr_eq(current, client));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<C>>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
