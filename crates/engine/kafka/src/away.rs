//! Kafka is away: who wants something stored is told so at once, not when librdkafka gives up on the record, seconds later.
//!
//! What librdkafka says of its brokers is only a hint, and it never says that one is back: so who comes while Kafka is believed to
//! be away asks it, one for all.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use rdkafka::types::RDKafkaErrorCode as Code;
use sockeye_limits as limits;
use sockeye_log::Unavailable;
use tokio::sync::Mutex;

use crate::refusal::Refused;

/// What is believed of Kafka.
#[derive(Debug, Default)]
pub(crate) struct Away {
    is_silent: AtomicBool,
    /// Whether it is there, and does not let this client in.
    pub(crate) refused: Refused,
    /// When Kafka was asked last; held by who asks.
    asked: Mutex<Option<Instant>>,
}

// ----------------------------------------------------------------------------------------------

impl Away {
    /// librdkafka has met this.
    pub(crate) fn hint(&self, code: Code) {
        if matches!(
            code,
            Code::AllBrokersDown | Code::MessageTimedOut | Code::OperationTimedOut | Code::BrokerTransportFailure
        ) {
            self.is_silent.store(true, Ordering::Relaxed);
        }
    }

    /// Returns at once unless Kafka is believed to be away; else asks, unless somebody just has.
    pub(crate) async fn look(&self, ask: impl Future<Output = Result<(), Unavailable>>) -> Result<(), Unavailable> {
        if !self.is_silent.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut asked = self.asked.lock().await;
        if !self.is_silent.load(Ordering::Relaxed) {
            return Ok(());
        }
        if asked.is_some_and(|asked| asked.elapsed() < limits::KAFKA_AWAY_LOOK) {
            return Err(Unavailable("Kafka does not answer".to_owned()));
        }
        let answer = ask.await;
        match answer {
            Ok(()) => self.is_silent.store(false, Ordering::Relaxed),
            Err(_) => *asked = Some(Instant::now()),
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_asks_for_all() {
        let away = Away::default();
        let never = async || panic!("nothing says that it is away");
        away.look(never()).await.unwrap();
        away.hint(Code::QueueFull);
        away.look(never()).await.unwrap();

        away.hint(Code::AllBrokersDown);
        let no = || async { Err(Unavailable("no".to_owned())) };
        assert_eq!(away.look(no()).await, no().await);
        let again = away.look(async { panic!("it was just asked") }).await;
        assert!(again.is_err());
        // Later somebody asks again, and it is back.
        *away.asked.lock().await = None;
        away.look(async { Ok(()) }).await.unwrap();
        away.look(never()).await.unwrap();
    }
}
