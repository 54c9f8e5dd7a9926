use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use nyx_protocol::control::{
    Advertised, Announce, AudioFormat, Compression, Dictionary, Drop, Gap, Outcome, Ping, Reply, Request,
    Results, Retire, Served, Subscribed,
};
use nyx_protocol::state::{Document, Limits, Patch, Value};
use nyx_protocol::wire::{Flags, Header, Kind, put_message};
use nyx_transport::Address;
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::shared::Open;
use crate::{Batch, Config, Item, Pattern, Subscription};

/// What a hub that keeps to the encoding, and to nothing else, may do.
#[derive(Clone, Debug)]
enum Step {
    Announce { topic_id: u32, topic: &'static str, kind: i32, epoch: u64, position: u64, prompt: bool },
    Gap { topic_id: u32, first_sequence: u32, drops: Vec<(i32, u64)> },
    Data { topic: u32, kind: Kind, sequence: u32, flags: u8, codec: u8, payload: Vec<u8> },
    Document { topic: u32, version: u64, snapshot: bool },
    Tell(u8, u32, u64),
    Raw(Vec<u8>),
    Receive { batches: bool },
    Disconnect,
}

/// Numbers where something ends, and some others.
fn ends() -> impl Strategy<Value = u64> {
    let at = |end: u64| (0u64..3).prop_map(move |by| end.wrapping_sub(1).wrapping_add(by));
    prop_oneof![0u64..4, at(u64::MAX), at(u32::MAX.into()), at(1 << 63), any::<u64>()]
}

fn steps() -> impl Strategy<Value = Step> {
    let topic = || prop_oneof![19 => 0u32..4, 1 => any::<u32>()];
    let name = prop_oneof![19 => prop::sample::select(vec!["a", "a/b", "b"]), 1 => prop::sample::select(vec!["", "**"])];
    // Mostly each id has a kind of its own, so that not every item ends the connection.
    let kind = || prop_oneof![19 => Just(None), 1 => (0i32..6).prop_map(Some)];
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let drops = prop::collection::vec((0i32..9, ends()), 0..4);
    let low = || ends().prop_map(|n| n as u32);
    prop_oneof![
        4 => (topic(), name, kind(), 0u64..2, ends(), any::<bool>()).prop_map(|(topic_id, topic, kind, epoch, position, prompt)| {
            let kind = kind.unwrap_or(1 + (topic_id % 4) as i32);
            Step::Announce { topic_id, topic, kind, epoch, position, prompt }
        }),
        3 => (topic(), low(), drops)
            .prop_map(|(topic_id, first_sequence, drops)| Step::Gap { topic_id, first_sequence, drops }),
        6 => (topic(), kind(), low(), any::<u8>(), 0u8..4, bytes()).prop_map(|(topic, kind, sequence, flags, codec, payload)| {
            let kind = Kind::ALL[kind.map_or(topic as usize, |kind| kind as usize) % 4];
            Step::Data { topic, kind, sequence, flags, codec, payload }
        }),
        2 => (topic(), 1u64..4, any::<bool>())
            .prop_map(|(topic, version, snapshot)| Step::Document { topic, version, snapshot }),
        3 => (any::<u8>(), topic(), ends()).prop_map(|(what, id, number)| Step::Tell(what, id, number)),
        1 => bytes().prop_map(Step::Raw),
        3 => any::<bool>().prop_map(|batches| Step::Receive { batches }),
        1 => Just(Step::Disconnect),
    ]
}

fn put(step: Step, out: &mut BytesMut) {
    match step {
        Step::Announce { topic_id, topic, kind, epoch, position, prompt } => {
            let audio = (kind == 3).then_some(AudioFormat { sample_rate: 8_000, channels: 1 });
            let topic = topic.to_owned();
            let announce =
                Announce { topic_id, topic, kind, audio, epoch, position, prompt, ..Announce::default() };
            control::put(out, announce);
        }
        Step::Gap { topic_id, first_sequence, drops } => {
            let drops = drops.into_iter().map(|(reason, count)| Drop { reason, count }).collect();
            control::put(out, Gap { topic_id, first_sequence, drops });
        }
        Step::Data { topic, kind, sequence, flags, codec, payload } => {
            let all = [Flags::KEYFRAME, Flags::SNAPSHOT, Flags::BLOCK];
            let chosen = all.into_iter().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1);
            let flags = chosen.fold(Flags::NONE, |flags, (_, one)| flags.with(one));
            put_message(out, Header { topic, sequence, flags, codec, ..Header::data(kind) }, &payload);
        }
        Step::Document { topic, version, snapshot } => {
            let (mut document, mut payload) = (Document::new(9, Limits::default()), BytesMut::new());
            for n in 0..version as i64 {
                document.patch(&Patch::Set(Value::map([("n", n)]))).unwrap();
            }
            if snapshot {
                document.snapshot(&mut payload);
            } else {
                document.delta_since(version - 1, &mut payload);
            }
            let flags = if snapshot { Flags::SNAPSHOT } else { Flags::NONE };
            put_message(out, Header { topic, flags, codec: 1, ..Header::data(Kind::State) }, &payload);
        }
        Step::Tell(what, id, number) => match what % 10 {
            0 => control::put(out, Advertised { alias: id, topic_id: id, plain: false }),
            1 => control::put(out, Subscribed { id }),
            2 => control::put(out, Served { id, ..Served::default() }),
            3 => control::put(out, Retire { id, version: number as u32 }),
            4 => control::put(out, Compression { allowed: number % 2 == 0 }),
            5 => control::put(out, Ping { nonce: number }),
            6 => control::put(out, Reply { id: number, status: id as i32, body: Default::default() }),
            7 => control::put(out, Request { id: number, serve_id: id, ..Request::default() }),
            8 => control::put(out, Dictionary { message: number.to_be_bytes().to_vec().into() }),
            _ => {
                let outcome = Outcome { count: number, sequence: Some(number), ..Outcome::default() };
                control::put(out, Results { alias: id, outcomes: vec![outcome] });
            }
        },
        Step::Raw(bytes) => put_message(out, Header::CONTROL, &bytes),
        Step::Receive { .. } | Step::Disconnect => {}
    }
}

fn receive(subscription: &mut Subscription, batches: bool) {
    let mut cx = Context::from_waker(Waker::noop());
    if !batches {
        while let Poll::Ready(Ok(item)) = subscription.poll_recv(&mut cx) {
            if let Item::Gap(gap) = item {
                gap.total();
            }
        }
        return;
    }
    while let Poll::Ready(Ok(batch)) = subscription.poll_recv_batch(&mut cx) {
        if let Batch::Messages(messages) = batch {
            assert!(messages.iter().count() > 0);
        }
    }
}

proptest! {
    #[test]
    fn a_hub_that_sends_anything_ends_its_connection_at_most(
        steps in prop::collection::vec(steps(), 1..60),
        is_unordered in any::<bool>(),
    ) {
        let address: Address = if is_unordered { "udp://a" } else { "a" }.parse().unwrap();
        let shared = Arc::new(Shared::new(address, Config::default()));
        let pattern = Pattern::new("**").unwrap();
        let (id, inbox) = {
            let mut registry = shared.registry.lock();
            registry.dispatch.is_unordered = is_unordered;
            registry.subscribe(pattern.clone(), None, oneshot::channel().0)
        };
        let open = Arc::new(Open { shared: shared.clone() });
        let mut subscription = Subscription::new(id, open, inbox, pattern, Limits::default());
        let mut acks = Arc::new(Acks::new(shared.outgoing.clone()));
        let mut packing = Packing::new(shared.clock.clone(), true);
        let mut buffer = BytesMut::new();
        for step in steps {
            match step {
                Step::Receive { batches } => receive(&mut subscription, batches),
                Step::Disconnect => shared.registry.lock().dispatch.disconnect(),
                step => put(step, &mut buffer),
            }
            if take(&shared, &acks, (&mut packing, true), &mut buffer).is_err() {
                // The next connection counts anew.
                (buffer, acks) = (BytesMut::new(), Arc::new(Acks::new(shared.outgoing.clone())));
                shared.registry.lock().dispatch.disconnect();
            }
        }
        receive(&mut subscription, false);
        prop_assert_eq!(acks.unconsumed(), 0, "nothing is left that was received and is nobody's");
    }
}
