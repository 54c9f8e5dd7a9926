//! A batch as lines of JSON over TCP.

use nyx_transport::pool::{Secure, Target};
use tokio::io::AsyncWriteExt as _;

use super::parcel::Parcel;
use super::sink::Failed;

/// Writes a line for each item. Nobody answers: what the kernel has taken counts as delivered.
pub(super) async fn write(target: &Target<Secure>, batch: &[Parcel]) -> Result<(), Failed> {
    let mut lines = String::new();
    for parcel in batch {
        lines.push_str(&parcel.to_json());
        lines.push('\n');
    }
    let mut lease = target.acquire().await?;
    lease.write_all(lines.as_bytes()).await?;
    // What TLS has encrypted may not have gone yet.
    lease.flush().await?;
    lease.release();
    Ok(())
}
