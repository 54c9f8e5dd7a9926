//! The publisher's and the subscribers' processes: the same work for every contender.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::contender::{Error, Name, Publisher};
use super::options::{Mode, Role};
use super::payload::{Tally, Template, now_nanos};
use super::process::{Order, Report, Window, say};

/// Does the work of one of the bench's own processes.
///
/// # Errors
/// When the contender's client or server fails, or the bench has gone.
pub async fn run(role: Role) -> Result<(), Error> {
    // Spawned, because the main task of a multi-thread runtime is no worker and pays a thread switch per wake-up.
    let task =
        match role {
            Role::Serve { contender } => tokio::spawn(async move { contender.contender()?.host().await }),
            Role::Publish { contender, address, size, mode } => {
                let feed = Feed { size: size as usize, mode };
                tokio::spawn(async move { contender.contender()?.publish(address, feed).await })
            }
            Role::Subscribe { contender, address, size, mode, subs, seconds } => tokio::spawn(async move {
                subscribe(contender, address, size as usize, mode, subs, seconds).await
            }),
        };
    task.await.map_err(io::Error::from)?
}

/// What a publisher is to send.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    size: usize,
    mode: Mode,
}

impl Feed {
    /// Saturated or paced.
    pub const fn mode(self) -> Mode {
        self.mode
    }

    /// Publishes from the order to go until the order to stop, then holds the connection until the bench ends it.
    ///
    /// # Errors
    /// When the client fails or the bench has gone.
    pub async fn drive<P: Publisher>(self, mut publisher: P) -> Result<(), Error> {
        let mut orders = Orders::new();
        say(&Report::Connected)?;
        orders.next().await?;

        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let listener = tokio::spawn(async move {
            let order = orders.next().await;
            stopped.store(true, Ordering::Relaxed);
            order.map(|_| orders)
        });
        let mut template = Template::new(self.size);
        match self.mode {
            Mode::Saturated => {
                while !stop.load(Ordering::Relaxed) {
                    publisher.publish(template.next(false)).await?;
                }
            }
            Mode::Paced => {
                let mut ticks = interval(PACE);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                while !stop.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    publisher.publish(template.next(true)).await?;
                    publisher.push().await?;
                }
            }
        }
        publisher.finish().await?;
        say(&Report::Sent { sent: template.count() })?;
        let mut orders = listener.await.map_err(io::Error::from)??;
        orders.until_closed().await
    }
}

async fn subscribe(
    contender: Name,
    address: SocketAddr,
    size: usize,
    mode: Mode,
    subs: u32,
    window: Duration,
) -> Result<(), Error> {
    let contender = contender.contender()?;
    let mut orders = Orders::new();
    let tallies: Vec<_> = (0..subs).map(|_| Tally::new(size, mode == Mode::Paced)).collect();
    let mut subscriptions = Vec::with_capacity(tallies.len());
    for tally in &tallies {
        subscriptions.push(contender.subscribe(address, size, tally.clone()).await?);
    }
    say(&Report::Connected)?;

    orders.next().await?;
    let heard = wait_for_all(&tallies).await;
    if heard < subs {
        say(&Report::Silent { heard })?;
        return orders.until_closed().await;
    }
    sleep((window / 2).min(WARM_UP)).await;
    say(&Report::Measured(measure(&tallies, window).await))?;

    if let Some(Order::Finish { sent }) = orders.next().await? {
        wait_for_the_rest(&tallies, sent).await;
        say(&Report::Finished {
            missing: tallies.iter().map(|tally| tally.missing(sent)).sum(),
            received: tallies.iter().map(Tally::received).sum(),
            wrong: tallies.iter().map(Tally::wrong).sum(),
        })?;
    }
    orders.until_closed().await
}

/// How many subscribers have received something, as soon as it is all of them.
async fn wait_for_all(tallies: &[Tally]) -> u32 {
    let begun = now_nanos();
    loop {
        let heard = tallies.iter().filter(|tally| tally.received() > 0).count();
        if heard == tallies.len() || elapsed(begun) > FIRST_MESSAGE {
            return u32::try_from(heard).unwrap_or(u32::MAX);
        }
        sleep(POLL).await;
    }
}

async fn measure(tallies: &[Tally], window: Duration) -> Window {
    let begun = now_nanos();
    let before: Vec<_> = tallies.iter().map(Tally::received).collect();
    tallies.iter().for_each(|tally| tally.measure(true));
    sleep(window).await;
    let after: Vec<_> = tallies.iter().map(Tally::received).collect();
    let nanos = now_nanos() - begun;
    tallies.iter().for_each(|tally| tally.measure(false));

    let each = || before.iter().zip(&after).map(|(before, after)| after - before);
    let mut ages: Vec<_> = tallies.iter().flat_map(Tally::take_ages).collect();
    ages.sort_unstable();
    Window {
        nanos,
        received: each().sum(),
        silent: u32::try_from(each().filter(|count| *count == 0).count()).unwrap_or(u32::MAX),
        age_p50_nanos: percentile(&ages, 50),
        age_p99_nanos: percentile(&ages, 99),
        age_max_nanos: ages.last().copied().unwrap_or(0),
    }
}

/// Returns when every subscriber has the last message, or when nothing has come for a while.
async fn wait_for_the_rest(tallies: &[Tally], sent: u64) {
    let mut received = 0;
    let mut progress = now_nanos();
    while !tallies.iter().all(|tally| tally.complete(sent)) {
        let now: u64 = tallies.iter().map(Tally::received).sum();
        if now != received {
            received = now;
            progress = now_nanos();
        } else if elapsed(progress) > QUIET {
            return;
        }
        sleep(POLL).await;
    }
}

fn elapsed(since_nanos: u64) -> Duration {
    Duration::from_nanos(now_nanos().saturating_sub(since_nanos))
}

/// The smallest of the sorted values that at least `percent` of them do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// The bench's orders, one line each.
struct Orders(Lines<BufReader<Stdin>>);

impl Orders {
    fn new() -> Self {
        Self(BufReader::new(tokio::io::stdin()).lines())
    }

    /// The next order, none when the bench has gone.
    async fn next(&mut self) -> Result<Option<Order>, Error> {
        let line = self.0.next_line().await?;
        Ok(line.map(|line| serde_json::from_str(&line)).transpose().map_err(io::Error::from)?)
    }

    async fn until_closed(&mut self) -> Result<(), Error> {
        while self.next().await?.is_some() {}
        Ok(())
    }
}

/// Between messages of a paced run.
const PACE: Duration = Duration::from_millis(1);

/// At most this passes between everyone's first message and the window: buffers, congestion windows and the
/// processor's caches have settled long before.
const WARM_UP: Duration = Duration::from_secs(1);

/// A subscriber that is silent for longer is not subscribed.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);

/// What has not moved for this long after the end is not going to come.
const QUIET: Duration = Duration::from_secs(1);

/// How often the counters are looked at outside the window.
const POLL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let ages: Vec<u64> = (1..=200).collect();
        assert_eq!((percentile(&ages, 50), percentile(&ages, 99)), (100, 198));
        assert_eq!(percentile(&[7], 99), 7);
        assert_eq!(percentile(&[], 50), 0);
    }
}
