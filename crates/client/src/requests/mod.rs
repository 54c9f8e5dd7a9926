//! Requests to a service, and serving one.
//!
//! A service is a name. Whoever serves it is sent requests by the hub, at most as many at a time as it takes; whoever asks
//! gets one answer for each, or learns why there is none.
//!
//! | handle | made by | does |
//! | --- | --- | --- |
//! | [`Requests`] | [`Client::requests`](crate::Client::requests) | [`send`](Requests::send) one, [`send_batch`](Requests::send_batch) many |
//! | [`Serving`] | [`Client::serve`](crate::Client::serve) | answers until it is dropped |
//!
//! ```no_run
//! use nyx_client::{Client, Name, requests};
//!
//! # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
//! let upper = Name::new("text/upper")?;
//! let _serving = client
//!     .serve(upper.clone(), requests::ServeOptions::default(), |request: requests::Incoming| async move {
//!         Ok::<_, String>(request.body.to_ascii_uppercase())
//!     })
//!     .await?;
//! let requests = client.requests(upper, requests::Options::default());
//! assert_eq!(requests.send("hello").await?, "HELLO");
//! for result in requests.send_batch(["one", "two"]).await {
//!     println!("{:?}", result?);
//! }
//! # Ok(())
//! # }
//! ```

mod answer;
mod batch;
mod calls;
mod deadlines;
mod error;
mod line;
mod mail;
mod requester;
mod room;
mod serve;

pub use batch::Batch;
pub(crate) use calls::Calls;
pub use error::{RequestError, ServeError};
pub(crate) use mail::Mail;
pub use nyx_protocol::requests::{BODY_MAX, Cap};
pub use requester::{Options, Requests, SendOptions};
pub use serve::{Incoming, ServeOptions, Serving};
pub(crate) use serve::{Services, serve_message};
