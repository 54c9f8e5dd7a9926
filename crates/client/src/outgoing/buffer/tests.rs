//! The buffer as its writer and its publishers see it.

use nyx_protocol::control::Ping;
use nyx_protocol::wire::Kind;

use super::*;

const NOW: Instant = Instant::ZERO;

fn buffer() -> Buffer {
    Buffer::new(Policy::NATURAL)
}

fn event(alias: u32) -> Envelope {
    in_lane(alias, Lane::Medium)
}

fn in_lane(alias: u32, lane: Lane) -> Envelope {
    Envelope { header: Header { topic: alias, ..Header::data(Kind::Event) }, unix_micros: None, lane }
}

fn taken(buffer: &mut Buffer) -> Vec<Segment> {
    let mut out = Vec::new();
    buffer.take(NOW, &mut out);
    out
}

#[test]
fn small_messages_gather_and_large_ones_stand_apart() {
    let mut buffer = buffer();
    buffer.put_data(NOW, &event(1), &b"small"[..]);
    buffer.put_data(NOW, &event(1), vec![7; LARGE]);
    buffer.put_data(NOW, &event(1), &b"after"[..]);
    let segments = taken(&mut buffer);
    let sizes: Vec<_> = segments.iter().map(|segment| (segment.head.len(), segment.body.len())).collect();
    assert_eq!(sizes, [(21 + 16, LARGE), (21, 0)]);
    assert_eq!(buffer.waiting, 21 + 16 + LARGE + 21);
}

#[test]
fn who_waits_for_room_is_told_when_half_is_written() {
    let mut buffer = buffer();
    buffer.put_data(NOW, &event(1), &[0; 84][..]);
    assert_eq!(buffer.admit(100, false), Err(Blocked::Full));
    assert!(!buffer.written(20));
    assert!(buffer.written(30));
    assert_eq!(buffer.admit(100, false), Ok(()));
}

#[test]
fn bulk_leaves_room_for_who_waits_with_something_live() {
    let mut buffer = buffer();
    buffer.put_data(NOW, &event(1), vec![0; 2 * LIVE]);
    assert_eq!(buffer.admit(super::super::BULK, false), Ok(()));
    assert_eq!(buffer.admit(LIVE, false), Err(Blocked::Full));
    assert_eq!(buffer.admit(super::super::BULK, false), Err(Blocked::Full));
    assert!(buffer.written(2 * LIVE));
    assert_eq!((buffer.admit(LIVE, false), buffer.admit(super::super::BULK, false)), (Ok(()), Ok(())));
}

#[test]
fn a_lost_connection_leaves_whole_data_messages() {
    let mut buffer = buffer();
    buffer.begin(1, vec![]);
    buffer.put_data(NOW, &event(1), &b"one"[..]);
    buffer.put_control(Ping { nonce: 1 }.into());
    buffer.put_data(NOW, &event(2), &b"two"[..]);
    let in_flight = taken(&mut buffer);
    buffer.put_data(NOW, &event(1), &b"three"[..]);
    assert_eq!(buffer.end(in_flight, |header| header.topic == 1, &mut Vec::new()), 3);
    let kept: Vec<_> = taken(&mut buffer).iter().flat_map(Segment::headers).map(|h| h.length).collect();
    assert_eq!((kept, buffer.waiting, buffer.session), (vec![3, 5], 19 + 21, 0));
}

#[test]
fn a_writer_sleeps_only_when_there_is_nothing_to_do() {
    let mut buffer = buffer();
    let waker = Waker::noop();
    buffer.put_data(NOW, &event(1), &b"one"[..]);
    assert!(buffer.park(NOW, waker, false).is_none());
    assert_eq!(buffer.park(NOW, waker, true), Some(None));
    assert!(buffer.unpark().is_none());
    buffer.poked = true;
    assert!(buffer.park(NOW, waker, true).is_none());
    taken(&mut buffer);
    assert_eq!(buffer.park(NOW, waker, false), Some(None));
    assert!(buffer.unpark().is_some());
}

/// The aliases of the data messages, in the order in which they would be written; 0 for control.
fn order(buffer: &mut Buffer, now: Instant) -> Vec<u32> {
    let mut out = Vec::new();
    buffer.take(now, &mut out);
    out.iter().flat_map(Segment::headers).map(|header| header.topic).collect()
}

#[test]
fn within_a_batch_the_high_lane_goes_first_and_control_keeps_its_place() {
    let mut buffer = buffer();
    buffer.begin(1, vec![]);
    for (alias, lane) in [(3, Lane::Low), (2, Lane::Medium), (1, Lane::High), (3, Lane::Low)] {
        buffer.put_data(NOW, &in_lane(alias, lane), &b"x"[..]);
    }
    buffer.put_control(Ping { nonce: 1 }.into());
    buffer.put_data(NOW, &in_lane(5, Lane::Low), &b"x"[..]);
    buffer.put_data(NOW, &in_lane(4, Lane::High), &b"x"[..]);
    assert_eq!(order(&mut buffer, NOW), [1, 2, 3, 3, 0, 4, 5]);
    buffer.put_data(NOW, &in_lane(1, Lane::High), &b"x"[..]);
    buffer.put_control(Ping { nonce: 1 }.into());
    assert_eq!(order(&mut buffer, NOW), [1, 0]);
}

#[test]
fn a_lingering_batch_wakes_the_writer_once_to_set_its_alarm_and_again_when_it_is_full() {
    let mut buffer = Buffer::new(Policy::LINGERING);
    let (waker, end) = (Waker::noop(), NOW + Policy::LINGERING.linger);
    assert_eq!(buffer.park(NOW, waker, false), Some(None));
    buffer.put_data(NOW, &event(1), &b"one"[..]);
    assert!(buffer.unpark().is_some());
    assert_eq!(buffer.park(NOW, waker, false), Some(Some(end)));
    for _ in 0..8 {
        buffer.put_data(NOW, &event(1), &b"more"[..]);
        assert!(buffer.unpark().is_none());
    }
    assert_eq!(order(&mut buffer, NOW), []);
    buffer.put_data(NOW, &event(1), &b"ten"[..]);
    assert!(buffer.unpark().is_some());
    assert_eq!(order(&mut buffer, NOW).len(), 10);

    buffer.put_data(NOW, &event(1), &b"late"[..]);
    assert_eq!((order(&mut buffer, NOW).len(), order(&mut buffer, end).len()), (0, 1));
}

#[test]
fn a_message_that_waits_with_the_batch_comes_behind_it_and_alone_it_goes_at_once() {
    let mut buffer = Buffer::new(Policy::LINGERING);
    let end = NOW + Policy::LINGERING.linger;
    for (alias, lane) in [(2, Lane::Low), (1, Lane::Medium)] {
        buffer.put_data(NOW, &in_lane(alias, lane), &b"x"[..]);
    }
    buffer.put_patiently(Ping { nonce: 1 }.into());
    assert_eq!(order(&mut buffer, NOW), []);
    assert_eq!(order(&mut buffer, end), [1, 2, 0]);
    buffer.put_patiently(Ping { nonce: 2 }.into());
    assert_eq!(order(&mut buffer, end), [0]);
}

#[test]
fn what_ages_takes_a_lingering_batch_with_it() {
    let mut buffer = Buffer::new(Policy::LINGERING);
    buffer.put_data(NOW, &event(1), &b"one"[..]);
    let frame = Envelope { header: Header::data(Kind::Frame), lane: Lane::Low, ..event(1) };
    buffer.put_data(NOW, &frame, &b"jpeg"[..]);
    assert_eq!(order(&mut buffer, NOW), [1, 0]);
}

#[test]
fn a_batch_of_small_records_is_one_vectored_write() {
    let mut buffer = Buffer::new(Policy::LINGERING);
    for (n, lane) in Lane::ALL.into_iter().cycle().take(9).enumerate() {
        let large = if n == 4 { 2 * LARGE } else { 100 };
        buffer.put_data(NOW, &in_lane(n as u32, lane), vec![0; large]);
    }
    buffer.put_data(NOW, &event(9), &b"ten"[..]);
    let (mut queue, mut calls) = (nyx_transport::write::Queue::default(), Calls(0));
    for segment in taken(&mut buffer) {
        queue.push(segment.head);
        queue.push(segment.body);
    }
    let mut cx = std::task::Context::from_waker(Waker::noop());
    let bytes = queue.bytes();
    let written = queue.poll_write(&mut cx, &mut calls);
    assert!(matches!(written, std::task::Poll::Ready(Ok(n)) if n == bytes), "{written:?}");
    assert_eq!(calls.0, 1);
}

/// Counts what would be system calls.
struct Calls(usize);

impl tokio::io::AsyncWrite for Calls {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        data: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.poll_write_vectored(cx, &[std::io::IoSlice::new(data)])
    }

    fn poll_write_vectored(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.0 += 1;
        std::task::Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

#[test]
fn who_waits_for_results_goes_on_where_others_are_given_up() {
    use super::super::{BULK, Entry, Fate, Outgoing};

    let outgoing = Outgoing::default();
    let entry = Entry { promise: std::sync::Arc::default(), first: 0, count: UNRESOLVED_MAX };
    outgoing.append_block(&event(1), BytesMut::from(&[0; 16][..]), UNRESOLVED_MAX, Some(entry));
    let mut cx = std::task::Context::from_waker(Waker::noop());
    let mut waiting = std::pin::pin!(outgoing.has_room(BULK, true));
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    outgoing.give_up(1, &Fate::Closed);
    assert_eq!(waiting.as_mut().poll(&mut cx), std::task::Poll::Ready(true));
}
