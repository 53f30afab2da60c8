//! An event costs no allocation, once what evaluation needs has grown to its size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use bytes::BytesMut;
use sockeye_filter::{Fields, Filter, Index, Scratch, Shape};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// ----------------------------------------------------------------------------------------------

#[expect(
    unsafe_code,
    reason = "the interface of allocators is unsafe; this one counts and leaves the rest to the system's"
)]
// SAFETY: every call goes to `System` as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// How often this thread allocates in the second of two runs.
fn allocations(mut run: impl FnMut()) -> u64 {
    run();
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

const MESSAGE: &[u8] = br#"{"metadata":{"deviceid":"c6ea4b","list":[1,{"a":2}]},"attrs":{"t":23.50,"text":"\u0072unning \"x\"","on":true,"no":null}}"#;

#[test]
fn a_counted_allocation_is_seen() {
    assert_eq!(allocations(|| drop(Box::new(1))), 1);
}

#[test]
fn conditions_on_scalars_allocate_nothing() {
    let mut scratch = Scratch::default();
    for text in [
        "attrs.t=23.5",
        "attrs.t=gt:0x10;attrs.on=1",
        "attrs.text=in:running,stopped;metadata.deviceid=is:c6ea4b,x",
        "attrs.text=is:\"running \\\"x\\\"\"",
        "attrs.text=nin:nothing;attrs.on=bool:true;attrs.no=has:true;attrs.none=has:false",
        "metadata.list[1].a=2",
        "attrs.text=re:^run+ing",
    ] {
        let filter = Filter::parse(text, Shape::Document).expect(text);
        let count = allocations(|| assert!(filter.passes(MESSAGE, &mut scratch), "{text}"));
        assert_eq!(count, 0, "{text}");
    }
}

#[test]
fn an_index_and_a_selection_allocate_nothing() {
    let mut scratch = Scratch::default();
    let mut index = Index::default();
    for number in 0..1_000_u32 {
        let text = format!("metadata.deviceid=is:c6ea4{:x};attrs.t=lt:{number}", number % 16);
        index.insert(
            number,
            Arc::new(Filter::parse(&text, Shape::Document).expect("it is right")),
        );
    }
    let mut passed = 0;
    assert_eq!(
        allocations(|| index.each_passed(MESSAGE, &mut scratch, |_| passed += 1)),
        0
    );
    assert_eq!(passed, 2 * (24..1_000).filter(|number| number % 16 == 0xb).count());

    let fields = Fields::parse("attrs(t,text),metadata/list/a").expect("it is right");
    let mut out = BytesMut::with_capacity(4_096);
    let count = allocations(|| {
        out.clear();
        assert!(fields.project(MESSAGE, &mut scratch, &mut out));
    });
    assert_eq!(count, 0);
}
