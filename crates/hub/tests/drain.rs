//! An orderly end.

mod sim;

use nyx_hub::{AdmitError, Config, Peer, Transport};
use nyx_protocol::control::Body;
use nyx_protocol::wire::Kind;
use sim::{Sim, fast, ms, slow};

#[test]
fn on_drain_subscribers_get_what_is_there_and_a_goodbye_and_publishers_are_not_read() {
    let mut sim = Sim::new(Config::default());
    let publisher = sim.peer(fast(), true);
    sim[publisher].advertise(1, "log", Kind::Event);
    sim[publisher].advertise(2, "camera", Kind::Frame);
    sim.settle();
    let readers = [
        sim.subscriber(fast(), "log"),
        sim.subscriber(slow(500_000, 32_768), "log"),
        sim.subscriber(slow(500_000, 32_768), "**"),
    ];
    let greeting = sim.connect(fast());
    for i in 0..600 {
        sim[publisher].publish_numbered(1, Kind::Event, 1000);
        if i == 0 {
            sim[publisher].publish_numbered(2, Kind::Frame, 10);
        }
    }
    sim.settle();
    sim.hub.drain();
    sim[publisher].publish_numbered(1, Kind::Event, 1000);
    assert_eq!(sim.hub.session(sim.now, Peer::new("x", Transport::Tcp)).err(), Some(AdmitError::Draining));
    sim.run_for(ms(3000));
    for id in readers {
        let events = sim[id].items.iter().filter(|item| item.topic == "log").count();
        assert_eq!(events, 600);
        assert!(matches!(sim[id].control.last(), Some(Body::Goodbye(_))));
        assert!(sim.node(id).is_closed());
    }
    for id in [publisher, greeting] {
        assert!(sim[id].has_goodbye() && sim.node(id).is_closed());
    }
    assert_eq!(sim.hub.stats(sim.now).topics[0].messages, 600);
}

#[test]
fn on_drain_a_publisher_that_also_subscribes_gets_what_is_there() {
    let mut config = Config::default();
    config.window_bytes = 256 * 1024;
    let mut sim = Sim::new(config);
    let both = sim.peer(slow(500_000, 32_768), true);
    sim[both].advertise(1, "log", Kind::Event);
    sim[both].subscribe("log", 0);
    for _ in 0..900 {
        sim[both].publish_numbered(1, Kind::Event, 1000);
    }
    sim.settle();
    sim.hub.drain();
    // Its acknowledgements stand behind data that is not read any more.
    sim[both].publish_numbered(1, Kind::Event, 1000);
    sim.run_for(ms(5000));
    assert_eq!(sim[both].topic("log").delivered, 900);
    assert!(sim[both].has_goodbye() && sim.node(both).is_closed());
}
