//! All or nothing, in order, as it was given.

use bytes::Bytes;
use sockeye_event::Headers;
use sockeye_limits as limits;

use super::Fixture;
use super::sample::{Case, assert_partitions_ordered, assert_same, record, records};
use crate::NewRecord;

type Header<'a> = (&'a str, Option<&'a [u8]>);

// ----------------------------------------------------------------------------------------------

pub async fn what_is_appended_is_read(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    let key = ("ce_partitionkey", Some(&b"one"[..]));
    let foreign = "x".repeat(200);
    let headers: [&[Header<'_>]; 5] = [
        &[key],
        &[key, ("ce_null", None), ("ce_empty", Some(b""))],
        &[
            key,
            ("ce_twice", Some(b"1")),
            ("other", Some(b"2")),
            ("ce_twice", Some(b"3")),
        ],
        &[
            key,
            ("not CloudEvents: \u{e4}", Some(&[0, 255, 128])),
            ("", Some(b"no name")),
        ],
        &[key, (&foreign, Some(&[7; 1_000]))],
    ];
    let payloads = [
        None,
        Some(Bytes::new()),
        Some(Bytes::from_static(b"{\"a\": 1}")),
        Some(Bytes::from_static(&[0, 255])),
        Some(Bytes::from(vec![b'x'; limits::EVENT_PAYLOAD])),
    ];
    let mut appended = Vec::new();
    for headers in headers {
        for payload in &payloads {
            appended.push(NewRecord {
                headers: headers.iter().copied().collect::<Headers>(),
                payload: payload.clone(),
            });
        }
    }
    case.append(appended.clone()).await;
    let read: Vec<NewRecord> = case
        .read_all(&case.oldest().await)
        .await
        .into_iter()
        .map(|record| NewRecord {
            headers: record.headers,
            payload: record.payload,
        })
        .collect();
    assert_eq!(read.len(), appended.len());
    for (read, appended) in read.iter().zip(&appended) {
        assert_eq!(read, appended);
    }
}

pub async fn a_batch_is_read_in_its_order(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    for from in [0, 100, 200] {
        case.append(records(from..from + 100)).await;
    }
    assert_same(&case.read_all(&case.oldest().await).await, &records(0..300));
}

pub async fn nothing_is_appended_by_an_empty_batch(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    case.append(Vec::new()).await;
    assert_eq!(case.read_all(&case.oldest().await).await, []);
}

pub async fn a_large_batch_is_appended_whole(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    let mut batch = records(0..limits::EVENTS_PER_BATCH);
    let payload = Bytes::from(vec![b'x'; limits::EVENT_BATCH / batch.len() - batch[0].headers.len()]);
    for record in &mut batch {
        record.payload = Some(payload.clone());
    }
    case.append(batch.clone()).await;
    assert_same(&case.read_all(&case.oldest().await).await, &batch);
}

pub async fn several_appenders_keep_their_order(fixture: &mut dyn Fixture) {
    const EACH: usize = 60;
    let case = Case::new(fixture).await;
    let appenders: Vec<_> = (0..8)
        .map(|appender| {
            let (log, topic, key) = (case.log.clone(), case.topic.clone(), format!("appender {appender}"));
            tokio::spawn(async move {
                for id in (0..EACH).step_by(3) {
                    let batch = (id..id + 3).map(|id| record(&key, appender * EACH + id)).collect();
                    log.append(&topic, batch).await.unwrap();
                }
            })
        })
        .collect();
    for appender in appenders {
        appender.await.unwrap();
    }
    let all: Vec<_> = (0..8 * EACH)
        .map(|id| record(&format!("appender {}", id / EACH), id))
        .collect();
    assert_same(&case.read_all(&case.oldest().await).await, &all);
}

pub async fn time_never_decreases(fixture: &mut dyn Fixture) {
    let case = Case::new(fixture).await;
    for id in 0..20 {
        case.append(records(id..id + 1)).await;
    }
    let read = case.read_all(&case.oldest().await).await;
    assert_eq!(read.len(), 20);
    assert_partitions_ordered(&read);
}
