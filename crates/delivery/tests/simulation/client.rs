//! A client that comes and goes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sockeye_delivery::{Begin, End, Session, Subscription, SubscriptionId};
use sockeye_log::{Position, Topic};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::dialect::{Form, Plain, Talk};
use crate::expected::Expected;
use crate::pick::Pick;
use crate::pipe::{ServerEnd, pipe};
use crate::subscribed::{Subscribed, TAGS};
use crate::visit::{Habit, Turn, Visit};
use crate::world::World;
use sockeye_seeds::Random;

pub(crate) struct Client {
    number: u64,
    world: Arc<World>,
    random: Random,
    /// What the last connection was for, and how far it came.
    last: Option<(Topic, Pick, Position)>,
}

// ----------------------------------------------------------------------------------------------

impl Client {
    pub(crate) fn new(number: u64, world: Arc<World>, random: Random) -> Self {
        Self {
            number,
            world,
            random,
            last: None,
        }
    }

    /// Connects again and again.
    pub(crate) async fn run(mut self) {
        let finish = self.world.finish.clone();
        loop {
            let pause = Duration::from_millis(self.random.between(0, 2000));
            tokio::select! {
                biased;
                () = finish.cancelled() => return,
                () = sleep(pause) => {}
            }
            if let Some(visit) = self.connect() {
                let (visit, subscribed) = visit;
                visit.stay().await;
                // The server lets go of what it knows a little later.
                let subscribed = std::mem::replace(&mut *subscribed.lock().unwrap(), Subscribed::new(None, false));
                if let Some(expected) = subscribed.into_only() {
                    self.last = Some((expected.topic, expected.pick, expected.cursor.unwrap_or(expected.seen)));
                }
            }
        }
    }

    /// Connects, as a server lets it that asks the log first.
    fn connect(&mut self) -> Option<(Visit, Arc<Mutex<Subscribed>>)> {
        let random = &mut self.random;
        let again = self.last.take_if(|_| random.percent(70));
        let (topic, pick, mut from) = again.map_or_else(
            || {
                let topic = random.between(0, self.world.topics.len() as u64 - 1) as usize;
                (self.world.topics[topic].clone(), Pick::any(random), None)
            },
            |(topic, pick, seen)| (topic, pick, Some(seen)),
        );
        let span = self.world.log.lock().span(&topic)?;
        // 410: what was read last is gone.
        from = from.filter(|from| from.incarnation() == span.end.incarnation() && from.is_at_or_behind(&span.oldest));
        let (start, what_is_left) = match from {
            Some(from) if random.percent(80) => (from, false),
            _ if random.percent(30) => (span.oldest, random.percent(80)),
            _ => (span.end.clone(), false),
        };
        let is_live = start == span.end;
        let talks = random.percent(40);
        let (once, first) = (talks && random.percent(30), !talks || random.percent(70));
        let form = if talks {
            Form::Tagged(random.between(0, TAGS.len() as u64 - 1) as u8)
        } else {
            random.pick(&[Form::Plain, Form::Plain, Form::Cursor])
        };
        let (capacity, holds_back) = (
            random.pick(&[100, 300, 2000, 9000]),
            random.pick(&[0, 0, 0, 1, 50, 500]),
        );
        let tells = random.percent(50);
        let habit = match random.between(0, 9) {
            0..5 => Habit::Prompt,
            5..9 => Habit::Slow {
                bytes: (capacity + holds_back) / 20 + random.pick(&[10, 100, 1000]),
                pause: random.pick(&[0, 20, 150]),
            },
            _ => Habit::Mute,
        };
        let turn = match random.between(0, 9) {
            0..3 => Some(Turn::Leave),
            3 => Some(Turn::Freeze {
                is_gone: random.percent(50),
            }),
            4 => Some(Turn::Vanish),
            5 => Some(Turn::Shut),
            6 => Some(Turn::Dawdle),
            _ => None,
        };
        let turn = turn.map(|turn| {
            let most = random.pick(&[10, 1_000, 30_000]);
            (Instant::now() + Duration::from_millis(random.between(0, most)), turn)
        });
        self.world.note(&(
            self.number,
            &topic,
            pick,
            start.to_string(),
            habit,
            turn,
            (capacity, holds_back, tells),
        ));

        let (server_end, client_end) = pipe(capacity, holds_back, tells);
        let subscription = Subscription {
            topic: topic.clone(),
            selection: pick.selection(),
            start: start.clone(),
            end: span.end.clone(),
            what_is_left,
            until: None,
        };
        let expected = Expected::new(topic, pick, form, start, is_live, what_is_left);
        let first = first.then_some(subscription);
        let subscribed = Subscribed::new(first.is_some().then_some(expected), once);
        let subscribed = Arc::new(Mutex::new(subscribed));
        let end = match (talks, once) {
            (false, _) => self.serve(server_end, first, Plain(form)),
            (true, false) => self.serve(server_end, first, self.talk::<false>(form, &subscribed)),
            (true, true) => self.serve(server_end, first, self.talk::<true>(form, &subscribed)),
        };
        let visit = Visit::new(
            self.number,
            &self.world,
            self.random.split(),
            (client_end, tells),
            end,
            Arc::clone(&subscribed),
            talks,
            habit,
            turn,
            self.world.server().stop,
        );
        Some((visit, subscribed))
    }

    /// Lets the server have its end of a connection; whether it ended, and how, is told.
    fn serve(
        &self,
        io: ServerEnd,
        first: Option<Subscription>,
        session: impl Session + 'static,
    ) -> oneshot::Receiver<Option<End>> {
        let server = self.world.server();
        let (tell, end) = oneshot::channel();
        let begin = first.map_or(Begin::Idle, Begin::from);
        let (delivery, kill) = (Arc::clone(&server.delivery), server.kill.clone());
        server.delivery.spawn(async move {
            let end = tokio::select! {
                biased;
                () = kill.cancelled() => None,
                end = delivery.serve(io, begin, session, false) => Some(end),
            };
            let _ = tell.send(end);
        });
        end
    }

    fn talk<const ONCE: bool>(&self, form: Form, subscribed: &Arc<Mutex<Subscribed>>) -> Talk<ONCE> {
        let first = if let Form::Tagged(tag) = form {
            Some((tag, SubscriptionId::FIRST))
        } else {
            None
        };
        Talk {
            form,
            log: self.world.log.clone(),
            subscribed: Arc::clone(subscribed),
            ids: first.into_iter().collect(),
            remote: None,
        }
    }
}
