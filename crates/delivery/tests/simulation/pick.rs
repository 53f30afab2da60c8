//! Which events a client wants.

use std::sync::Arc;

use sockeye_delivery::Selection;
use sockeye_filter::{Filter, Shape};
use sockeye_seeds::Random;

use crate::history::{CHANNELS, DEVICES, Facts, Stored, TYPES};

/// Which events a client wants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pick {
    channel: Option<&'static str>,
    device: Option<&'static str>,
    ty: Option<&'static str>,
    /// Devices among which it must be, as a filter says it.
    among: Option<[&'static str; 2]>,
}

// ----------------------------------------------------------------------------------------------

impl Pick {
    pub(crate) fn any(random: &mut Random) -> Self {
        // Clients have to meet in lanes.
        if random.percent(50) {
            return Self::default();
        }
        Self {
            channel: random.percent(30).then(|| random.pick(&CHANNELS)),
            device: random.percent(30).then(|| random.pick(&DEVICES)),
            ty: random.percent(20).then(|| random.pick(&TYPES)),
            among: random
                .percent(30)
                .then(|| [random.pick(&DEVICES), random.pick(&DEVICES)]),
        }
    }

    pub(crate) fn selection(self) -> Selection {
        Selection {
            channel: self.channel.map(Into::into),
            device: self.device.map(Into::into),
            ty: self.ty.map(Into::into),
            filter: self.among.map(|[one, other]| {
                let text = format!("ce.device=is:{one},{other};");
                Arc::new(Filter::parse(&text, Shape::Event).expect("it is in the language"))
            }),
            document: None,
        }
    }

    pub(crate) fn wants(self, stored: &Stored) -> bool {
        let is = |wanted: Option<&str>, value: &str| wanted.is_none_or(|wanted| wanted == value);
        stored.facts.is_some_and(|Facts { channel, device, ty }| {
            let among = self.among.is_none_or(|devices| devices.contains(&device));
            is(self.channel, channel) && is(self.device, device) && is(self.ty, ty) && among
        })
    }
}
