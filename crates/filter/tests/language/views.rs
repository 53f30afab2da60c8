//! Filters about events, and filters in words.

use std::borrow::Cow;

use sockeye_filter::{Fields, Filter, Scratch, Shape, View};

struct Event<'a>(&'a [u8]);

impl View for Event<'_> {
    fn document(&self) -> &[u8] {
        self.0
    }

    fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "device" => Some("pump-1".into()),
            "path" => Some(r"C:\u0041".into()),
            "number" => Some(Cow::Owned(5.to_string())),
            _ => None,
        }
    }
}

#[test]
fn of_an_event_the_attributes_are_seen_too() {
    let document = br#"{"t":5,"ce":{"device":"mine","other":1}}"#;
    let check = |text: &str, document: &[u8], passes: bool| {
        let filter = Filter::parse(text, Shape::Event).unwrap();
        let passed = filter.passes(&Event(document), &mut Scratch::default());
        assert_eq!(passed, passes, "{text}");
    };
    check("ce.device=is:pump-1", document, true);
    check("ce.device=in:mine", document, false);
    check("ce.other=has:true", document, false);
    check("ce.number=gte:5;t=5", document, true);
    check("t=5;ce.number=gte:6", document, false);
    check(r#"ce.path=is:"C:\\u0041""#, document, true);
    check("ce.device.name=has:true", document, false);
    check("ce=has:true", document, true);
    check("ce.device=has:true;t=nin:x", b"", true);
    assert!(!Filter::parse("ce.a=1", Shape::Event).unwrap().reads_document());
    assert!(Filter::parse("ce.a=1", Shape::Document).unwrap().reads_document());
    crate::check("ce.device=is:mine", r#"{"ce":{"device":"mine"}}"#, true);
}

#[test]
fn filters_in_words() {
    let filter = Filter::parse(
        "a.b=gt:5;s=in:x,\"y,z\";s=nin:q;f=bool:0;g=has:true;h=re:^a;i=is:x",
        Shape::Document,
    );
    assert_eq!(
        filter.unwrap().explain(),
        "events of which all of this is true:\n  \
           - `a.b` is a number above 5\n  \
           - the text of `s` contains \"x\" or \"y,z\"\n  \
           - there is no text of `s` that contains \"q\"\n  \
           - `f` is false\n  \
           - there is a `g`\n  \
           - the text of `h` matches the regular expression ^a\n  \
           - the text of `i` is \"x\"\n"
    );
    assert_eq!(Filter::parse("", Shape::Document).unwrap().explain(), "every event\n");
    let fields = Fields::parse("a(b,c/d),*").unwrap();
    assert_eq!(
        fields.explain(),
        "of each, these fields are sent:\n  - a/b\n  - a/c/d\n  - *\n"
    );
}
