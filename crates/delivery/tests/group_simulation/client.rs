//! A client that is a member of groups, again and again.

use std::sync::Arc;
use std::time::Duration;

use sockeye_delivery::{End, EnterError, Joining, Receipts};
use sockeye_limits as limits;
use sockeye_seeds::Random;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::dialect::{Payload, Plain};
use crate::pipe::pipe;
use crate::truth::Joined;
use crate::visit::{Habit, Manner, Turn, Visit};
use crate::world::World;

pub(crate) struct Client {
    number: u64,
    world: Arc<World>,
    random: Random,
    /// Stays with this group to the end and does all it should.
    faithful: Option<usize>,
}

// ----------------------------------------------------------------------------------------------

impl Client {
    pub(crate) fn new(number: u64, world: Arc<World>, random: Random) -> Self {
        Self {
            number,
            world,
            random,
            faithful: None,
        }
    }

    /// One who sees to it that a group comes to its end.
    pub(crate) fn faithful(number: u64, world: Arc<World>, random: Random, plan: usize) -> Self {
        Self {
            faithful: Some(plan),
            ..Self::new(number, world, random)
        }
    }

    /// Connects again and again, until nothing more happens.
    pub(crate) async fn run(mut self) {
        let (finish, settled) = (self.world.finish.clone(), self.world.settled.clone());
        let over = if self.faithful.is_some() { settled } else { finish };
        loop {
            let pause = Duration::from_millis(self.random.between(0, 2000));
            tokio::select! {
                biased;
                () = over.cancelled() => return,
                () = sleep(pause) => {}
            }
            if let Some(visit) = self.connect().await {
                visit.stay().await;
            }
        }
    }

    /// Connects, as a server lets it that makes it a member first.
    async fn connect(&mut self) -> Option<Visit> {
        let server = self.world.server()?;
        let random = &mut self.random;
        let plans = self.world.plans();
        let number = self
            .faithful
            .unwrap_or_else(|| random.between(0, plans.len() as u64 - 1) as usize);
        let (plan, is_faithful) = (&plans[number], self.faithful.is_some());
        let receipts = if plan.acks && !is_faithful && random.percent(60) {
            let time = Duration::from_millis(random.pick(&[300, 5_000, 30_000]));
            Receipts::Client { time }
        } else {
            Receipts::Pong
        };
        let manner = if is_faithful {
            Manner::faithful()
        } else {
            let most = random.pick(&[10, 1_000, 30_000]);
            let turn =
                Turn::any(random).map(|turn| (Instant::now() + Duration::from_millis(random.between(0, most)), turn));
            Manner {
                habit: Habit::any(random),
                turn,
                acks: random.pick(&[100, 100, 90, 50, 0]),
                nacks: random.pick(&[0, 0, 20, 100]),
                lies: random.percent(20),
            }
        };
        let capacity = random.pick(&[300, 2_000, 9_000]);
        let joining = Joining {
            topic: plan.topic.clone(),
            group: plan.id.group.clone().into(),
            selection: plan.pick.selection(),
            balance: plan.balance,
            receipts,
            deflate: false,
            name: None,
        };
        self.world.note(&(self.number, &plan.id, receipts, &manner, capacity));
        let (durable, epoch_before) = {
            let disk = self.world.positions.lock();
            (disk.groups.get(&plan.id).cloned(), disk.truth.epoch(number))
        };
        let (server_end, client_end) = pipe(capacity, random.pick(&[0, 0, 50]), random.percent(50));
        let (admit, admitted) = oneshot::channel();
        let (tell, end) = oneshot::channel::<Option<End>>();
        let (delivery, kill, world) = (
            Arc::clone(&server.delivery),
            server.kill.clone(),
            Arc::clone(&self.world),
        );
        server.delivery.spawn(async move {
            let serve = async {
                match delivery.join(joining, Arc::new(Payload::new())).await {
                    Ok(seat) => {
                        let _ = admit.send(Ok(world.positions.lock().truth.epoch(number)));
                        Some(delivery.serve(server_end, seat, Plain, false).await)
                    }
                    Err(error) => {
                        let _ = admit.send(Err(error));
                        None
                    }
                }
            };
            let end = tokio::select! {
                biased;
                () = kill.cancelled() => None,
                end = serve => end,
            };
            let _ = tell.send(end);
        });
        // A server that is killed answers nobody.
        let epoch = match timeout(limits::LOG_OUTAGE, admitted)
            .await
            .expect("who asks is answered")
        {
            Ok(Ok(epoch)) => epoch,
            Ok(Err(error)) => {
                self.world.note(&(self.number, &error));
                assert!(!matches!(error, EnterError::Refused(_)), "{error}");
                return None;
            }
            Err(_) => return None,
        };
        // What was durable before the group was moved says nothing of what it gives now.
        let durable = durable.filter(|_| epoch == epoch_before);
        let joined = Joined::new(number, epoch, durable.as_ref(), receipts == Receipts::Pong);
        Some(Visit::new(
            self.number,
            &self.world,
            self.random.split(),
            client_end,
            end,
            joined,
            receipts,
            manner,
            server.stop,
        ))
    }
}
