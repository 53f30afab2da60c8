//! Groups: a topic read by several members together, so that each event goes to one of them and none is lost (DESIGN.md,
//! contract points 3 and 4). A state machine without I/O or clock: it is told what happened and when, and tells what to do.
//!
//! | file | idea |
//! | --- | --- |
//! | `group.rs` | [`Group`]: its state, and what happens to it |
//! | `group/next.rs`, `group/view.rs` | what it wants done, what can be seen of it |
//! | `output.rs` | [`Output`]: what that may be |
//! | `item.rs` | [`Item`]: what it has to know of an event |
//! | `member.rs`, `credit.rs` | one member: what is under way to it, and how much may be |
//! | `waiting.rs`, `queue.rs`, `devices.rs` | what no member has: for any of them, or by device |
//! | `ledger.rs`, `mark.rs` | what of the log is open; [`Mark`]: what of that is durable; [`Marking`]: one that moves without a group |
//! | `persist.rs` | when the mark is stored |
//! | `dead_letter.rs` | [`DeadLetter`]: how an event that failed too often is kept |
//! | `settings.rs`, `counts.rs` | bounds, and what is counted |
//!
//! # Who drives it
//!
//! A group has one owner, who holds it (under a lock, or in a task of its own) and does what it says. Whatever happens, the
//! owner calls one function of the first column, then [`Group::next`] until that gives nothing, and does each [`Output`]
//! before it lets go: deliveries to one member have to reach its socket in the order in which they were given out.
//!
//! | what happened | call |
//! | --- | --- |
//! | the first member comes: the stored position was read (a new group's was stored before) | [`Mark::decode`], [`Group::load`] |
//! | a client with `group_id` was admitted | [`Group::join`]; its id stays with the connection |
//! | a connection ended, for whatever reason | [`Group::leave`]; harmless after [`Output::Close`] |
//! | a Pong came | [`Group::pong`] with its payload |
//! | `{"Ack":..}`, `{"Nack":..}` came from a member that asked for `ack=client` | [`Group::ack`], [`Group::nack`] |
//! | a connection wants to send its usual Ping | [`Group::keep_alive`] says which |
//! | [`Group::deadline`] has come | [`Group::tick`] |
//! | a mark was stored, or not | [`Group::persisted`] |
//! | a dead letter was stored, or not | [`Group::dead_lettered`] |
//! | a read failed because retention passed the group | [`Group::trimmed`], and log what it returns |
//! | the last member has gone and [`Group::is_idle`] | drop it |
//!
//! | output | do |
//! | --- | --- |
//! | [`Output::Deliver`] | append the event's frame to what the member's socket is sent; all up to the next `None` in one write |
//! | [`Output::Ping`] | append a Ping with [`ping_payload`] behind that |
//! | [`Output::Close`] | close the connection with [`NoReceipt::CODE`] and the reason |
//! | [`Output::Persist`] | store position and [`Mark::encode_receipted`] ([`sockeye_log::GroupPositions::set_group`]) |
//! | [`Output::DeadLetter`] | append [`DeadLetter::into_record`] to [`sockeye_log::Topic::dead_letters_of`], which may have to be made first |
//!
//! **Reading.** While [`Group::has_room`], read the topic from [`Group::position`]. Ask again before each record: if there is
//! room and the selection wants it, [`Group::push`] it; if there is none, keep the rest for later. Behind the last record of a
//! batch call [`Group::passed`], so that what the selection does not want is passed as well. Without members there is no
//! room: an event waits in the log, not in memory.
//!
//! **A crash** needs no care: the group is loaded from its mark. What was receipted and not stored by then is delivered again,
//! at most [`sockeye_limits::GROUP_WINDOW_EVENTS`] events together with what was under way: the group reads no more than that
//! beyond what is durable. So it stops, and loses nothing, while the registry cannot store.
//!
//! **A stop** is a crash that waits: every member leaves, and the mark that is given out then is stored before the group goes.
//!
//! **Another incarnation** of the log has nothing of the old one: drop the group, store a mark in the new one, load that.

mod counts;
mod credit;
mod dead_letter;
mod devices;
mod group;
mod item;
mod ledger;
mod mark;
mod member;
mod output;
mod persist;
mod queue;
mod settings;
mod waiting;

pub use counts::Counts;
pub use dead_letter::{DeadLetter, NoDeadLetter};
pub use group::{Group, JoinError};
pub use item::Item;
pub use mark::{Mark, MarkError, Marking, Receipted};
pub use member::{Balance, MemberId, MemberView, Receipts};
pub use output::{NoReceipt, Output, Ticket, ping_payload};
pub use settings::Settings;
