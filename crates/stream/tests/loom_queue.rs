//! Every interleaving of those who wait at a shared queue and those who wake them.
#![cfg(loom)]

use std::future::pending;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;
use nyx_stream::queue::{self, Closed, Config, Policy, Receiver, Sender};

fn channel(items: usize) -> (Sender<Vec<u8>>, Receiver<Vec<u8>>) {
    queue::channel(Config::new(items, 8, Policy::Block)).unwrap()
}

#[test]
fn a_receiver_never_sleeps_beside_an_item() {
    loom::model(|| {
        let (sender, receiver) = channel(2);
        let producer = thread::spawn(move || {
            sender.try_send(vec![1]).unwrap();
            sender.try_send(vec![2]).unwrap();
        });
        assert_eq!(block_on(receiver.recv()), Ok(vec![1]));
        assert_eq!(block_on(receiver.recv()), Ok(vec![2]));
        assert_eq!(block_on(receiver.recv()), Err(Closed));
        producer.join().unwrap();
    });
}

#[test]
fn a_sender_never_sleeps_beside_room() {
    loom::model(|| {
        let (sender, receiver) = channel(1);
        let producer = thread::spawn(move || {
            for i in 0..2 {
                assert!(block_on(sender.send(vec![i], pending())).is_ok());
            }
        });
        assert_eq!(block_on(receiver.recv()), Ok(vec![0]));
        assert_eq!(block_on(receiver.recv()), Ok(vec![1]));
        producer.join().unwrap();
    });
}

/// The whole search is out of reach with three threads.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(run);
}

/// Looks once, waits as it does for who looks, and goes away, whether it was woken meanwhile or not.
fn look<R>(future: impl Future<Output = R>) -> Poll<R> {
    let mut future = pin!(future);
    let seen = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    thread::yield_now();
    seen
}

#[test]
fn items_of_any_size_come_through() {
    model(|| {
        let (sender, receiver) = channel(2);
        sender.try_send(vec![0; 4]).unwrap();
        let other = sender.clone();
        let large = thread::spawn(move || block_on(sender.send(vec![0; 8], pending())).is_ok());
        let small = thread::spawn(move || block_on(other.send(vec![0; 1], pending())).is_ok());
        let bytes: usize = (0..3).map(|_| block_on(receiver.recv()).unwrap().len()).sum();
        assert_eq!(bytes, 13);
        assert!(large.join().unwrap() && small.join().unwrap());
    });
}

#[test]
fn two_receivers_share_what_comes() {
    loom::model(|| {
        let (sender, receiver) = channel(2);
        let other = receiver.clone();
        let consumer = thread::spawn(move || block_on(other.recv()));
        sender.try_send(vec![1]).unwrap();
        sender.try_send(vec![2]).unwrap();
        let mut both = [block_on(receiver.recv()), consumer.join().unwrap()];
        both.sort_by_key(|item| item.clone().unwrap());
        assert_eq!(both, [Ok(vec![1]), Ok(vec![2])]);
    });
}

#[test]
fn a_receiver_that_goes_away_leaves_what_it_was_woken_for_to_the_next() {
    model(|| {
        let (sender, receiver) = channel(1);
        let (other, back) = (receiver.clone(), sender.clone());
        let hasty = thread::spawn(move || {
            if let Poll::Ready(item) = look(other.recv()) {
                back.try_send(item.unwrap()).unwrap();
            }
            // Its end would wake everybody.
            (other, back)
        });
        let producer = thread::spawn(move || {
            sender.try_send(vec![1]).unwrap();
            sender
        });
        assert_eq!(block_on(receiver.recv()), Ok(vec![1]));
        drop((hasty.join().unwrap(), producer.join().unwrap()));
    });
}

#[test]
fn a_sender_that_goes_away_leaves_the_room_it_was_woken_for_to_the_next() {
    model(|| {
        let (sender, receiver) = channel(1);
        sender.try_send(vec![1]).unwrap();
        let other = sender.clone();
        let hasty = thread::spawn(move || {
            let has_sent = look(other.send(vec![2], pending())).is_ready();
            (other, has_sent)
        });
        let patient = thread::spawn(move || {
            assert!(block_on(sender.send(vec![3], pending())).is_ok());
            sender
        });
        // A receiver that waited would wake who waits for room. This one takes what it must and no more.
        assert_eq!(receiver.try_recv(), Ok(vec![1]));
        let (other, has_sent) = hasty.join().unwrap();
        assert!(!has_sent || receiver.try_recv() == Ok(vec![2]));
        drop((patient.join().unwrap(), other));
    });
}

#[test]
fn closing_wakes_whoever_waits() {
    loom::model(|| {
        let (sender, receiver) = channel(1);
        let consumer = thread::spawn(move || block_on(receiver.recv()));
        sender.close();
        assert_eq!(consumer.join().unwrap(), Err(Closed));
    });
}
