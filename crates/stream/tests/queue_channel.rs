//! The queue shared by threads and tasks: who is woken, what closing does, and that nothing is lost in between.

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use nyx_core::clock::Manual;
use nyx_stream::Reason;
use nyx_stream::queue::{self, Closed, Config, Evicted, Policy, PopError, PushError, Receiver, Sender};

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (bell.clone(), bell.into())
}

fn blocking(items: usize) -> (Sender<Vec<u8>>, Receiver<Vec<u8>>) {
    queue::channel(Config::new(items, 1 << 20, Policy::Block)).unwrap()
}

#[test]
fn a_push_wakes_one_receiver_and_a_pop_one_sender() {
    let (sender, receiver) = blocking(1);
    let ((first, first_waker), (second, second_waker)) = (bell(), bell());
    let (mut one, mut two) = (pin!(receiver.recv()), pin!(receiver.recv()));
    assert!(one.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
    assert!(two.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
    sender.try_send(vec![1]).unwrap();
    assert_eq!((first.rung(), second.rung()), (1, 0));

    let (room, room_waker) = bell();
    let mut sending = pin!(sender.send(vec![2], pending()));
    assert!(sending.as_mut().poll(&mut Context::from_waker(&room_waker)).is_pending());
    assert_eq!(one.poll(&mut Context::from_waker(&first_waker)), Poll::Ready(Ok(vec![1])));
    assert_eq!(room.rung(), 1);
    assert!(sending.poll(&mut Context::from_waker(&room_waker)).is_ready());
    assert_eq!(second.rung(), 1);
}

#[test]
fn a_receiver_that_was_woken_and_goes_away_wakes_the_next() {
    let (sender, receiver) = blocking(4);
    let ((_, first_waker), (second, second_waker)) = (bell(), bell());
    let mut one = Box::pin(receiver.recv());
    let mut two = pin!(receiver.recv());
    assert!(one.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
    assert!(two.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
    sender.try_send(vec![1]).unwrap();
    drop(one);
    assert_eq!(second.rung(), 1);
    assert_eq!(two.poll(&mut Context::from_waker(&second_waker)), Poll::Ready(Ok(vec![1])));
}

#[test]
fn a_waiter_that_goes_away_is_forgotten() {
    let (sender, receiver) = blocking(4);
    let ((first, first_waker), (second, second_waker)) = (bell(), bell());
    let mut one = Box::pin(receiver.recv());
    let mut two = pin!(receiver.recv());
    assert!(one.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
    assert!(two.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
    drop(one);
    assert_eq!(Arc::strong_count(&first), 2);
    sender.try_send(vec![1]).unwrap();
    assert_eq!((first.rung(), second.rung()), (0, 1));
}

#[test]
fn a_task_that_moved_is_woken_where_it_is_now() {
    let (sender, receiver) = blocking(4);
    let ((before, before_waker), (after, after_waker)) = (bell(), bell());
    let mut receiving = pin!(receiver.recv());
    assert!(receiving.as_mut().poll(&mut Context::from_waker(&before_waker)).is_pending());
    assert!(receiving.as_mut().poll(&mut Context::from_waker(&after_waker)).is_pending());
    sender.try_send(vec![1]).unwrap();
    assert_eq!((before.rung(), after.rung()), (0, 1));
}

#[test]
fn room_for_several_wakes_several() {
    let (sender, receiver) = queue::channel(Config::new(8, 100, Policy::Block)).unwrap();
    sender.try_send(vec![0; 100]).unwrap();
    let bells: Vec<_> = (0..3).map(|_| bell()).collect();
    let mut sending: Vec<_> = (0..3).map(|_| Box::pin(sender.send(vec![0; 10], pending()))).collect();
    for (future, (_, waker)) in sending.iter_mut().zip(&bells) {
        assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    receiver.try_recv().unwrap();
    for (future, (bell, waker)) in sending.iter_mut().zip(&bells) {
        assert_eq!(bell.rung(), 1);
        assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_ready());
    }
}

#[test]
fn a_large_item_is_not_passed_by_small_ones_for_ever() {
    let (sender, receiver) = queue::channel(Config::new(8, 10, Policy::Block)).unwrap();
    (0..5).for_each(|_| drop(sender.try_send(vec![0; 2]).unwrap()));
    let ((large, large_waker), (small, small_waker)) = (bell(), bell());
    let mut large_context = Context::from_waker(&large_waker);
    let mut small_context = Context::from_waker(&small_waker);
    let mut sending_large = pin!(sender.send(vec![0; 8], pending()));
    let mut sending_small = pin!(sender.send(vec![0; 2], pending()));
    assert!(sending_large.as_mut().poll(&mut large_context).is_pending());
    for _ in 0..3 {
        receiver.try_recv().unwrap();
        assert_eq!(sender.try_send(vec![0; 2]).unwrap_err(), PushError::Full(vec![0; 2]));
        assert!(sending_small.as_mut().poll(&mut small_context).is_pending());
    }
    assert_eq!((large.rung(), small.rung()), (0, 0));
    receiver.try_recv().unwrap();
    assert_eq!((large.rung(), small.rung()), (1, 0));
    assert!(sending_large.poll(&mut large_context).is_ready());
    receiver.try_recv().unwrap();
    assert_eq!(small.rung(), 1);
    assert!(sending_small.poll(&mut small_context).is_ready());
    assert_eq!(sender.len(), 2);
}

#[test]
fn who_is_woken_in_vain_keeps_the_place() {
    let (sender, receiver) = blocking(1);
    sender.try_send(vec![0]).unwrap();
    let ((first, first_waker), (second, second_waker)) = (bell(), bell());
    let mut one = pin!(sender.send(vec![1], pending()));
    let mut two = pin!(sender.send(vec![2], pending()));
    assert!(one.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
    assert!(two.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
    receiver.try_recv().unwrap();
    // One is faster, once.
    assert!(sender.try_send(vec![3]).is_ok());
    assert!(one.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
    receiver.try_recv().unwrap();
    assert_eq!((first.rung(), second.rung()), (2, 0));
    assert!(sender.try_send(vec![4]).is_err());
    assert!(one.poll(&mut Context::from_waker(&first_waker)).is_ready());
}

#[test]
fn a_large_item_that_is_given_up_lets_the_small_ones_pass() {
    let (sender, receiver) = queue::channel(Config::new(8, 10, Policy::Block)).unwrap();
    (0..5).for_each(|_| drop(sender.try_send(vec![0; 2]).unwrap()));
    let ((_, large_waker), (small, small_waker)) = (bell(), bell());
    let mut large = Box::pin(sender.send(vec![0; 8], pending()));
    let mut waiting = pin!(sender.send(vec![0; 2], pending()));
    assert!(large.as_mut().poll(&mut Context::from_waker(&large_waker)).is_pending());
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&small_waker)).is_pending());
    receiver.try_recv().unwrap();
    drop(large);
    assert_eq!(small.rung(), 1);
    assert!(waiting.poll(&mut Context::from_waker(&small_waker)).is_ready());
}

#[test]
fn an_item_of_no_bytes_waits_for_no_bytes() {
    let (sender, receiver) = queue::channel(Config::new(2, 10, Policy::Block)).unwrap();
    assert!(sender.try_send(vec![]).is_ok() && sender.try_send(vec![0; 10]).is_ok());
    let (room, waker) = bell();
    let mut sending = pin!(sender.send(vec![], pending()));
    assert!(sending.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    receiver.try_recv().unwrap();
    assert_eq!(room.rung(), 1);
    assert!(sending.poll(&mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn a_thread_may_wait_while_its_locals_are_destroyed() {
    struct Last(Option<Receiver<Vec<u8>>>);
    impl Drop for Last {
        fn drop(&mut self) {
            let Some(receiver) = self.0.take() else { return };
            assert_eq!(receiver.blocking_recv(Duration::from_micros(1)), Err(PopError::Empty));
        }
    }
    thread_local! {
        static LAST: RefCell<Last> = const { RefCell::new(Last(None)) };
    }
    for is_first in [false, true] {
        let (_sender, receiver) = blocking(1);
        let (keep, wait) = (receiver.clone(), receiver);
        let keep = move || LAST.with_borrow_mut(|last| last.0 = Some(keep));
        let wait = move || assert!(wait.blocking_recv(Duration::from_micros(1)).is_err());
        let body = move || if is_first { (keep(), wait()) } else { (wait(), keep()) };
        thread::spawn(body).join().unwrap();
    }
}

#[test]
fn who_waits_may_have_what_was_too_old() {
    let clock = Manual::new();
    let policy = Policy::Predictive { max_age: Duration::from_millis(50) };
    let (sender, receiver) =
        queue::channel_with_clock(Config::new(8, 1 << 20, policy), clock.clone()).unwrap();
    let mut expired = Evicted::new();
    for round in 0..2 {
        sender.try_send(vec![round]).unwrap();
        clock.advance(Duration::from_millis(51));
        if round == 0 {
            assert_eq!(receiver.blocking_recv_into(Duration::ZERO, &mut expired), Err(PopError::Empty));
        } else {
            let (_, waker) = bell();
            let mut receiving = pin!(receiver.recv_into(&mut expired));
            assert!(receiving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(expired.next(), Some((vec![round], Reason::Expired)));
    }
}

#[test]
fn who_waits_for_too_long_gets_the_item_back() {
    let (sender, receiver) = blocking(1);
    assert!(sender.blocking_send(vec![1], Duration::ZERO).is_ok());
    assert_eq!(sender.blocking_send(vec![2], Duration::ZERO).unwrap_err(), PushError::Full(vec![2]));
    let (_, waker) = bell();
    let late = pin!(sender.send(vec![3], ready(()))).poll(&mut Context::from_waker(&waker));
    assert!(matches!(late, Poll::Ready(Err(PushError::Full(item))) if item == [3]));
    assert_eq!(receiver.blocking_recv(Duration::ZERO), Ok(vec![1]));
    assert_eq!(receiver.blocking_recv(Duration::ZERO), Err(PopError::Empty));
}

#[test]
fn closing_tells_everybody_and_leaves_what_is_there() {
    let (sender, receiver) = blocking(1);
    let (empty_sender, empty_receiver) = blocking(1);
    sender.try_send(vec![1]).unwrap();
    thread::scope(|scope| {
        let sending = scope.spawn(|| sender.blocking_send(vec![2], Duration::MAX));
        let receiving = scope.spawn(|| empty_receiver.blocking_recv(Duration::MAX));
        receiver.close();
        empty_sender.close();
        assert_eq!(sending.join().unwrap().unwrap_err(), PushError::Closed(vec![2]));
        assert_eq!(receiving.join().unwrap(), Err(PopError::Closed));
    });
    assert!(sender.is_closed());
    assert_eq!(receiver.try_recv(), Ok(vec![1]));
    assert_eq!(receiver.try_recv(), Err(PopError::Closed));
}

#[test]
fn the_last_of_either_half_closes_the_queue() {
    let (sender, receiver) = blocking(4);
    let other = sender.clone();
    drop(sender);
    other.try_send(vec![1]).unwrap();
    drop(other);
    let (_, waker) = bell();
    let mut context = Context::from_waker(&waker);
    assert_eq!(pin!(receiver.recv()).poll(&mut context), Poll::Ready(Ok(vec![1])));
    assert_eq!(pin!(receiver.recv()).poll(&mut context), Poll::Ready(Err(Closed)));

    let (sender, receiver) = blocking(4);
    drop(receiver.clone());
    assert!(sender.try_send(vec![1]).is_ok());
    drop(receiver);
    assert_eq!(sender.try_send(vec![1]).unwrap_err(), PushError::Closed(vec![1]));
}

/// An item's drop and a waker's may use the queue themselves: neither happens under the lock.
#[test]
fn what_is_dropped_may_use_the_queue() {
    struct Nosy(Option<Sender<Self>>);
    impl queue::Item for Nosy {
        fn bytes(&self) -> usize {
            1
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            if let Some(sender) = &self.0 {
                let _ = sender.len();
            }
        }
    }
    let (sender, receiver) = queue::channel(Config::new(1, 8, Policy::DropOldest)).unwrap();
    for _ in 0..3 {
        let _ = sender.try_send(Nosy(Some(sender.clone())));
    }
    assert_eq!(sender.drops().get(Reason::Overrun), 2);
    assert!(receiver.try_recv().is_ok());
}

#[test]
fn a_timed_policy_takes_the_time_from_its_clock() {
    let clock = Manual::new();
    let policy = Policy::Predictive { max_age: Duration::from_millis(50) };
    let (sender, receiver) =
        queue::channel_with_clock(Config::new(8, 1 << 20, policy), clock.clone()).unwrap();
    sender.try_send(vec![1]).unwrap();
    clock.advance(Duration::from_millis(51));
    sender
        .try_send(vec![2])
        .unwrap()
        .for_each(|(item, reason)| assert_eq!((&item[..], reason), (&[1][..], Reason::Expired)));
    clock.advance(Duration::from_millis(51));
    let mut expired = Evicted::new();
    assert_eq!(receiver.try_recv_into(&mut expired), Err(PopError::Empty));
    assert_eq!(expired.next(), Some((vec![2], Reason::Expired)));
}

#[test]
fn several_threads_at_both_ends_lose_nothing() {
    const EACH: usize = 2_000;
    let (sender, receiver) = blocking(7);
    let sum = thread::scope(|scope| {
        for _ in 0..3 {
            let sender = sender.clone();
            scope.spawn(move || {
                for i in 0..EACH {
                    assert!(sender.blocking_send(vec![0; i % 5], Duration::MAX).is_ok());
                }
            });
        }
        drop(sender);
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let receiver = receiver.clone();
                scope.spawn(move || {
                    let received = std::iter::from_fn(|| receiver.blocking_recv(Duration::MAX).ok());
                    received.map(|item| (1, item.len())).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
                })
            })
            .collect();
        receivers.into_iter().map(|thread| thread.join().unwrap()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    });
    assert_eq!(sum, (3 * EACH, 3 * EACH * 2));
}

#[test]
fn a_task_and_a_thread_may_share_a_queue() {
    let (sender, receiver) = blocking(2);
    let producer = thread::spawn(move || {
        for i in 0..500_u16 {
            sender.blocking_send(i.to_be_bytes().to_vec(), Duration::MAX).unwrap();
        }
    });
    let mut expected = 0_u16;
    let all = async {
        while let Ok(item) = receiver.recv().await {
            assert_eq!(item, expected.to_be_bytes());
            expected += 1;
        }
        expected
    };
    assert_eq!(block_on(all), 500);
    producer.join().unwrap();
}

/// Runs a future in this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let mut polled = pin!(poll_fn(|cx| future.as_mut().poll(cx)));
    loop {
        match polled.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
