//! Any bytes, as a message: nothing breaks, and what is selected is no longer than the message and a name's quotes around it.

use std::sync::LazyLock;

use bytes::BytesMut;
use sockeye_filter::{Fields, Filter, Scratch, Shape, has_content};

static FILTERS: LazyLock<Vec<Filter>> = LazyLock::new(|| {
    let texts = [
        "a=1",
        "a.b.c=in:x,y;a[0]=nin:z;0.1=is:\"\"",
        "\"\"=has:true;a=bool:1",
        "a=re:(a|b)*c;b.b=gte:0x5",
    ];
    texts
        .map(|text| Filter::parse(text, Shape::Document).expect(text))
        .into()
});

static FIELDS: LazyLock<Vec<Fields>> = LazyLock::new(|| {
    let texts = ["a", "b,a/b(c,d)", "*/a,b/*", "a/*/b,*"];
    texts.map(|text| Fields::parse(text).expect(text)).into()
});

/// Panics if that does not hold for this message.
pub fn check(message: &[u8]) {
    let mut scratch = Scratch::default();
    has_content(message);
    for filter in FILTERS.iter() {
        filter.passes(message, &mut scratch);
    }
    for fields in FIELDS.iter() {
        let mut out = BytesMut::new();
        fields.project(message, &mut scratch, &mut out);
        assert!(out.len() <= 2 * message.len() + 2);
    }
}
