//! Chunks as a topic.

use nyx_audio_capture::{Chunk, Encoding, Format, pcm};
use nyx_client::publish;
use nyx_client::{AudioFormat, Client, Name, Samples};
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinHandle;

use crate::connect::{self, Server};
use crate::exit::{Failure, Outcome};
use crate::opus;

/// Publishes in a task of its own: a connection that stalls must not hold up what is recorded.
pub(super) struct Topic {
    client: Client,
    encoding: Encoding,
    /// In the place of samples.
    opus: Option<opus::Encoder>,
    chunks: Sender<(Vec<u8>, u64)>,
    publisher: JoinHandle<Outcome>,
    watcher: Watcher,
    sent: u64,
    skipped: u64,
}

/// Tells of the connection while it is there.
struct Watcher(JoinHandle<()>);

impl Topic {
    pub(super) async fn open(
        name: &Name,
        server: &Server,
        format: Format,
        encoding: Encoding,
        opus: Option<opus::Encoder>,
        chunk_frames: u64,
    ) -> Outcome<Self> {
        let client = server.connect(format!("nyx capture {name}")).await?;
        let (samples, encoding) = match encoding {
            Encoding::S16Le => (Samples::S16Le, Encoding::S16Le),
            Encoding::S24Le | Encoding::F32Le => (Samples::F32Le, Encoding::F32Le),
        };
        let samples = if opus.is_some() { Samples::Opus } else { samples };
        let audio_format =
            AudioFormat { sample_rate: format.sample_rate(), channels: u32::from(format.channels()) };
        let advertised = client.audio(name.clone(), audio_format, samples, publish::Options::default());
        let audio = connect::answered(client.address(), advertised).await??;
        let (chunks, mut waiting) = mpsc::channel::<(Vec<u8>, u64)>(chunks_waiting(format, chunk_frames));
        let publisher = tokio::spawn(async move {
            while let Some((pcm, unix_micros)) = waiting.recv().await {
                audio.send(pcm, Some(unix_micros)).await.map_err(|error| error.cause)?;
            }
            Ok(())
        });
        let watcher = Watcher(tokio::spawn(connect::watch(client.clone())));
        Ok(Self { client, encoding, opus, chunks, publisher, watcher, sent: 0, skipped: 0 })
    }

    /// Sends a chunk, or passes it over where too many wait: what is late nobody wants.
    pub(super) fn take(&mut self, chunk: &Chunk) -> Outcome {
        let mut unix_micros = chunk.unix_micros;
        let bytes = match &mut self.opus {
            Some(encoder) => {
                unix_micros = unix_micros.saturating_sub(encoder.delay().as_micros() as u64);
                encoder.encode(chunk.samples())?
            }
            None => {
                let mut bytes = Vec::with_capacity(size_of_val(chunk.samples()));
                pcm::encode(self.encoding, chunk.samples(), &mut bytes);
                bytes
            }
        };
        match self.chunks.try_send((bytes, unix_micros)) {
            Ok(()) => self.sent += 1,
            Err(_) => self.skipped += 1,
        }
        Ok(())
    }

    /// Whether the hub takes no more of this topic, which it refused after all.
    pub(super) fn has_ended(&self) -> bool {
        self.publisher.is_finished()
    }

    /// Why it [has ended](Self::has_ended). To be asked once. Nothing is lost by dropping the future.
    pub(super) async fn failure(&mut self) -> Failure {
        match (&mut self.publisher).await {
            Ok(Err(failure)) => failure,
            Err(error) => error.into(),
            // It goes on for as long as there may be chunks.
            Ok(Ok(())) => anyhow::anyhow!("the topic has ended").into(),
        }
    }

    /// How many chunks were sent and how many passed over.
    pub(super) const fn counts(&self) -> (u64, u64) {
        (self.sent, self.skipped)
    }

    /// Waits until the hub has taken in all that was sent.
    pub(super) async fn close(self) -> Outcome {
        drop(self.chunks);
        let published = tokio::time::timeout(GRACE, self.publisher).await;
        let flushed = match published {
            Ok(published) => {
                published??;
                tokio::time::timeout(GRACE, self.client.close()).await
            }
            Err(elapsed) => Err(elapsed),
        };
        drop(self.watcher);
        match flushed {
            Ok(flushed) => flushed?,
            Err(_) => {
                return Err(anyhow::anyhow!(
                    "stopped before the hub had confirmed everything: the last chunks may not have arrived"
                )
                .into());
            }
        }
        Ok(())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How many chunks may wait for the connection: of the default length 50.
fn chunks_waiting(format: Format, chunk_frames: u64) -> usize {
    let chunks = format.frames_in(WAITING) / chunk_frames.max(1);
    usize::try_from(chunks).unwrap_or(usize::MAX).clamp(WAITING_MIN, WAITING_MAX)
}

/// After so long a hub drops audio.
const WAITING: std::time::Duration = std::time::Duration::from_millis(500);

/// One that is sent, and one that follows it.
const WAITING_MIN: usize = 2;

/// Short chunks, of which each costs more than its samples.
const WAITING_MAX: usize = 1_000;

/// How long the hub may take to confirm.
const GRACE: std::time::Duration = std::time::Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_sound_waits_for_the_connection_whatever_the_chunks_are() {
        let format = Format::new(48_000, 2).unwrap();
        let waiting = [16, 480, 4_800, 65_536].map(|frames| chunks_waiting(format, frames));
        assert_eq!(waiting, [1_000, 50, 5, 2]);
    }
}
