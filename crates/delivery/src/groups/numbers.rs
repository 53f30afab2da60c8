//! What is shown of each group, asked for when somebody looks.

use std::fmt;
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use sockeye_limits as limits;

use crate::delivery::Delivery;
use crate::groups::view::GroupView;

/// The groups of a process, as metrics.
struct Numbers(Weak<Delivery>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    application: String,
    group: String,
    selection: String,
}

type Gauges = Family<Label, Gauge>;
type Counters = Family<Label, Counter>;

// ----------------------------------------------------------------------------------------------

impl Delivery {
    /// Adds the numbers of groups to a registry, below `delivery`: of each that this process owns, up to
    /// [`limits::GROUP_METRICS`]. What is counted of a group begins anew when its first member comes.
    pub fn register_groups(self: &Arc<Self>, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("delivery");
        registry.register_collector(Box::new(Numbers(Arc::downgrade(self))));
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut groups = self.0.upgrade().map_or_else(Vec::new, |delivery| delivery.groups());
        let all = Gauge::<i64>::default();
        all.set(groups.len() as i64);
        let help = "Groups that have members, or had one a moment ago";
        all.encode(encoder.encode_descriptor("groups", help, None, all.metric_type())?)?;
        groups.truncate(limits::GROUP_METRICS);

        let mut gauges = |name, help, unit: Option<&Unit>, value: fn(&GroupView) -> i64| {
            let family = Gauges::default();
            for group in &groups {
                family.get_or_create(&Label::of(group)).set(value(group));
            }
            family.encode(encoder.encode_descriptor(name, help, unit, family.metric_type())?)
        };
        gauges("group_members", "Members of a group", None, |group| {
            group.members.len() as i64
        })?;
        let help = "Records that a group has not receipted yet, at most";
        gauges("group_lag", help, None, |group| group.lag() as i64)?;
        let help = "How long the oldest event that a group has read and not receipted has been in the log";
        gauges("group_lag", help, Some(&Unit::Seconds), |group| {
            let age = |since: Timestamp| Timestamp::now().duration_since(since).as_secs();
            group.oldest.map_or(0, age).max(0)
        })?;
        let help = "Events under way to members of a group";
        gauges("group_outstanding", help, None, |group| group.outstanding() as i64)?;
        let help = "Events that a group has read and no member has";
        gauges("group_waiting", help, None, |group| group.waiting as i64)?;
        let help = "Events that may be under way to members of a group";
        gauges("group_credit", help, None, |group| group.credit() as i64)?;

        let mut counters = |name, help, value: fn(&GroupView) -> u64| {
            let family = Counters::default();
            for group in &groups {
                family.get_or_create(&Label::of(group)).inc_by(value(group));
            }
            family.encode(encoder.encode_descriptor(name, help, None, family.metric_type())?)
        };
        counters("group_deliveries", "Deliveries to members of a group", |group| {
            group.counts.delivered
        })?;
        let help = "Deliveries of events that a group had delivered before";
        counters("group_redeliveries", help, |group| group.counts.redelivered)?;
        counters("group_receipts", "Events that were receipted in a group", |group| {
            group.counts.receipted
        })?;
        let help = "Events of a group that failed too often and are in the dead letters";
        counters("group_dead_letters", help, |group| group.counts.dead_letters)?;
        let help = "Members of a group that were closed because they gave no receipt";
        counters("group_no_receipts", help, |group| group.counts.no_receipt)?;
        let help = "Pongs that no Ping had asked for, and acknowledgements that name no event under way";
        counters("group_stray_receipts", help, |group| {
            group.counts.unasked_pongs + group.counts.unknown_acks
        })?;
        let help = "Events that retention took from a group since it was made, at most";
        counters("group_trimmed", help, |group| group.trimmed)
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Numbers")
    }
}

impl Label {
    fn of(group: &GroupView) -> Self {
        let id = group.id.clone();
        Self {
            application: id.application,
            group: id.group,
            selection: id.selection,
        }
    }
}
