//! What the page asks for when it has nothing but an address.

use nyx_client::publish::{Frame, Options};
use nyx_client::{FrameCodec, Value};

use crate::common::daemon::Daemon;
use crate::common::wait::alone;
use crate::{name, no_errors, open, select};

/// Notes patterns and deadlines of the subscriptions that leave the page.
const WATCH: &str = "
    window.asked = [];
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
        const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
        let at = 16;
        const varint = () => {
            let [number, shift, byte] = [0, 0];
            do { byte = bytes[at++]; number |= (byte & 127) << shift; shift += 7; } while (byte & 128);
            return number;
        };
        if (varint() === (6 << 3 | 2)) {
            varint();
            let [pattern, maxAge] = ['', 0];
            while (at < bytes.length) {
                const [tag, value] = [varint(), varint()];
                if (tag === (2 << 3 | 2)) pattern = new TextDecoder().decode(bytes.subarray(at, at + value));
                if (tag === 3 << 3) maxAge = value;
                if ((tag & 7) === 2) at += value;
            }
            asked.push(`${pattern} ${maxAge}`);
        }
        send.call(this, data);
    };
    0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_one_topic_and_whoever_opens_it_slows_no_publisher() {
    let _alone = alone().await;
    let daemon = Daemon::start();
    let publisher = daemon.client("publisher").await;
    let mut page = open(&daemon).await;
    page.eval(WATCH).await;

    // It may be of events, as this one is.
    select(&mut page, "late/log").await;
    page.until("asked.join() === 'late/log 2000'", "it asks with a deadline").await;
    let log = publisher.events(name("late/log"), Options::default()).await.expect("the topic is accepted");
    log.send_text("hello").await.expect("an event is taken");
    page.until("document.getElementById('events')?.innerText.includes('hello')", "the event").await;
    assert_eq!(page.eval("asked.join()").await, "late/log 2000");

    // A document is asked for once, since it may be large.
    select(&mut page, "late/state").await;
    let state = publisher.state(name("late/state"), Options::default()).await.expect("it is accepted");
    state.set(Value::map([("n", 1)])).await.expect("a value is taken");
    page.until("document.querySelector('[data-path=n]')", "the document").await;
    assert_eq!(page.eval("asked.slice(1).join()").await, "late/state 2000");

    // Of frames what is older is shown, too.
    select(&mut page, "late/slides").await;
    let slides = publisher.frames(name("late/slides"), Options::default()).await.expect("it is accepted");
    slides.send(Frame::key(FrameCodec::Jpeg, vec![0; 9])).await.expect("a frame is taken");
    let both = "asked.slice(2).join() === 'late/slides 2000,late/slides 0'";
    page.until(both, "it asks again, without one").await;

    page.eval("location.hash = '#topic/late/**'").await;
    page.until("document.getElementById('detail').hidden", "a pattern is no topic").await;
    page.eval("location.hash = '#topic/%6cate/log'").await;
    page.until("asked.length > 4", "the name of one is").await;
    assert_eq!(page.eval("asked[4]").await, "late/log 2000");

    // What is not listed is counted, and can be opened all the same.
    let mut many = Vec::new();
    for n in 0..203 {
        many.push(publisher.state(name(&format!("many/{n}")), Options::default()).await.expect("accepted"));
    }
    let count = "document.getElementById('topic-count').innerText === '200 of 206'";
    page.until(count, "how many of them are listed").await;
    let filter = "const f = document.getElementById('filter'); f.value = 'nowhere'; f.dispatchEvent(new Event('input'))";
    page.eval(filter).await;
    let none = "document.getElementById('no-match').innerText.includes('200 of 206. Any other')";
    page.until(none, "that the filter sees only these").await;
    no_errors(&mut page);
}
