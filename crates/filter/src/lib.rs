//! The language of `where` and `fields` (compat/dojot.md, decisions 7-11): which events a client wants, and what of them.
//!
//! | file | idea |
//! | --- | --- |
//! | `filter.rs` | [`Filter`]: a `where`, parsed; does an event pass? |
//! | `fields.rs` | [`Fields`]: a selector, parsed; `fields/project.rs` cuts what it selects out of a JSON text |
//! | `view.rs` | [`View`]: what a filter sees of an event |
//! | `parse.rs` | the grammar of `where`; `parse/condition.rs` then looks at each condition's values |
//! | `condition.rs` | [`Condition`]: a path, an operator, values; and how they are printed |
//! | `path.rs`, `operator.rs` | [`Path`], [`Operator`] |
//! | `index.rs` | [`Index`]: many filters looked at at once |
//! | `look.rs` | one look at one event |
//! | `explain.rs` | a filter in words |
//! | `error.rs` | [`FilterError`]: code, place, what was found and what was expected |
//! | `find.rs` | where in a JSON text the values of many paths are: one pass, no tree |
//! | `scan.rs` | what that pass is made of: keys, and values that are skipped |
//! | `value.rs`, `number.rs`, `escape.rs` | what was found, as text, as number, as truth |
//! | `test.rs` | whether a value fulfils a condition |
//!
//! A text that is evaluated must be JSON, as `event::json` says it. With any other bytes nothing breaks, but the answer means
//! nothing. Nothing here does I/O.

mod condition;
mod error;
mod escape;
mod explain;
mod fields;
mod filter;
mod find;
mod index;
mod look;
mod number;
mod operator;
mod parse;
mod path;
mod scan;
mod test;
mod value;
mod view;

pub use condition::Condition;
pub use error::{Code, FilterError};
pub use fields::Fields;
pub use filter::Filter;
pub use index::Index;
pub use look::Scratch;
pub use operator::Operator;
pub use path::{Path, Step};
pub use scan::has_content;
pub use view::{Shape, View};
