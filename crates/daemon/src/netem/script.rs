//! A schedule, played in real time.

use nyx_netem::schedule::{Change, Schedule, Step};
use nyx_netem::{Handle, udp};

use crate::tell;

/// Plays a schedule to connections.
pub(super) async fn connections(handle: Handle, schedule: Schedule) {
    play(&schedule, |change| match change {
        Change::Set(setting) => {
            handle.update(|impairment| {
                if !setting.apply_to_link(impairment) {
                    tell::note(format_args!(
                        "netem: TCP hides `{change}`, which is about single datagrams (see --udp)"
                    ));
                }
            });
        }
        Change::Stall(stalled) => handle.stall(*stalled),
        Change::Cut(cut) => handle.down(*cut),
        _ => {}
    })
    .await;
}

/// Plays a schedule to datagrams.
pub(super) async fn datagrams(handle: udp::Handle, schedule: Schedule) {
    let mut gate = Gate::default();
    play(&schedule, |change| {
        if let Change::Set(setting) = change {
            handle.update(|conditions| setting.apply_to_path(conditions));
        }
        handle.cut(gate.is_shut_after(change));
    })
    .await;
}

/// Whether datagrams pass. None of them waits, so a stall loses them as a cut does; but `go` ends no cut, and `return` no stall.
#[derive(Default)]
struct Gate {
    stalled: bool,
    cut: bool,
}

impl Gate {
    const fn is_shut_after(&mut self, change: &Change) -> bool {
        match change {
            Change::Stall(stalled) => self.stalled = *stalled,
            Change::Cut(cut) => self.cut = *cut,
            _ => {}
        }
        self.stalled || self.cut
    }
}

async fn play(schedule: &Schedule, mut apply: impl FnMut(&Change)) {
    let start = tokio::time::Instant::now();
    for (at, Step { changes, .. }) in schedule.timeline() {
        tokio::time::sleep_until(start + at).await;
        changes.iter().for_each(&mut apply);
        let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
        tell::note(format_args!("netem: at {} {}", humantime::format_duration(at), told.join(" ")));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nyx_core::clock::{Clock as _, Monotonic};
    use nyx_netem::{Impairment, Proxy};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{Instant, advance};

    use super::*;

    /// Keeps the paused clock where it is, since it moves by itself only while nothing else does. Ends when patience does.
    async fn hold_time() {
        let (clock, patience) = (Monotonic::new(), Duration::from_secs(30));
        let start = clock.now();
        while clock.now() - start < patience {
            tokio::task::yield_now().await;
        }
    }

    /// A connection through the proxy, as soon as one comes through.
    async fn connected(handle: &Handle, listener: &TcpListener) -> (TcpStream, TcpStream) {
        loop {
            // The reset may be there before the connection is.
            let Ok(mut client) = TcpStream::connect(handle.local_addr()).await else { continue };
            let mut nothing = [0; 8];
            tokio::select! {
                accepted = listener.accept() => return (client, accepted.unwrap().0),
                read = client.read(&mut nothing) => assert!(read.is_err(), "{read:?}"),
            }
        }
    }

    async fn exchange(client: &mut TcpStream, server: &mut TcpStream) {
        carry(client, server).await;
        carry(server, client).await;
    }

    async fn carry(from: &mut TcpStream, to: &mut TcpStream) {
        let mut buffer = [0; 8];
        from.write_all(b"any text").await.unwrap();
        to.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"any text");
    }

    async fn is_reset(handle: &Handle) -> bool {
        let Ok(mut client) = TcpStream::connect(handle.local_addr()).await else { return true };
        client.read(&mut [0; 8]).await.is_err()
    }

    async fn cut_and_return() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let proxy = Proxy::bind(any, listener.local_addr().unwrap(), Impairment::default().into()).unwrap();
        let handle = proxy.handle();
        tokio::spawn(proxy.run());
        let text = "# The radio drops out.\n0s delay=1ms\n10s cut\n12s return delay=0s\n20s repeat\n";
        tokio::spawn(connections(handle.clone(), text.parse().unwrap()));
        let start = Instant::now();
        let until = |round: u64, millis| {
            advance(start + Duration::from_millis(round * 20_000 + millis) - Instant::now())
        };
        let (mut client, mut server) = connected(&handle, &listener).await;
        for round in 0..3 {
            until(round, 9_999).await;
            exchange(&mut client, &mut server).await;
            while handle.impairment().delay != Duration::from_millis(1) {
                tokio::task::yield_now().await;
            }
            until(round, 10_001).await;
            assert!(client.read(&mut [0; 8]).await.is_err());
            assert!(server.read(&mut [0; 8]).await.is_err());
            until(round, 11_999).await;
            assert!(is_reset(&handle).await);
            until(round, 12_001).await;
            (client, server) = connected(&handle, &listener).await;
            exchange(&mut client, &mut server).await;
            assert_eq!(handle.impairment().delay, Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_cut_and_come_again_when_the_schedule_says_so() {
        tokio::select! {
            () = cut_and_return() => {}
            () = hold_time() => panic!("it does not come to its end"),
        }
    }

    #[test]
    fn a_stall_and_a_cut_end_each_by_its_own_word() {
        let mut gate = Gate::default();
        let [stall, go] = [true, false].map(Change::Stall);
        let [cut, back] = [true, false].map(Change::Cut);
        let shut =
            [&cut, &stall, &go, &back, &stall, &cut, &back, &go].map(|change| gate.is_shut_after(change));
        assert_eq!(shut, [true, true, true, false, true, true, true, false]);
    }
}
