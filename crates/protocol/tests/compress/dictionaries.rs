use nyx_protocol::compress::dictionary::{Config, Dictionary, TrainError, Trainer};
use nyx_protocol::compress::{Compressor, Level, Method};

use crate::traces::{self, Random, Update, entity};

fn observe(trainer: &mut Trainer, updates: &[Update]) {
    updates.iter().for_each(|update| trainer.observe(&update.full));
}

#[test]
fn small_records_of_every_kind_get_a_dictionary_that_pays() {
    for (name, updates) in [("chat", traces::chat(1, 3000)), ("football", traces::football(2, 3000))] {
        let (train, rest) = updates.split_at(2000);
        let mut trainer = Trainer::new(1, Config::default());
        observe(&mut trainer, train);
        let trained = trainer.job().unwrap().run().unwrap();
        let mut compressor = Compressor::new();
        let mut bytes = |method: Method<'_>| -> usize {
            rest.iter().map(|update| compressor.compress(&update.full, method).len()).sum()
        };
        let (with, alone) =
            (bytes(Method::Dictionary(&trained.dictionary)), bytes(Method::Level(Level::DEFAULT)));
        println!("{name}: {with} bytes instead of {alone}");
        assert!(with * 10 < alone * 6, "{name}: {with} of {alone}");
    }
}

#[test]
fn noise_gets_none_and_is_asked_less_and_less() {
    let mut trainer = Trainer::new(1, Config::default());
    let noise = traces::noise(3, 2000, 100);
    observe(&mut trainer, &noise);
    let outcome = trainer.job().unwrap().run();
    assert!(matches!(outcome, Err(TrainError::NoUse { .. } | TrainError::Zstd(_))), "{outcome:?}");
    trainer.handle_untrained();
    observe(&mut trainer, &noise);
    assert!(!trainer.is_ready());
    observe(&mut trainer, &noise);
    assert!(trainer.is_ready());
}

#[test]
fn one_job_at_a_time() {
    let mut trainer = Trainer::new(1, Config::default());
    let chat = traces::chat(1, 2000);
    observe(&mut trainer, &chat);
    let job = trainer.job().unwrap();
    observe(&mut trainer, &chat);
    assert!(trainer.job().is_none());
    trainer.handle_trained(&job.run().unwrap());
    assert!(trainer.is_ready());
}

#[test]
fn a_new_version_has_to_be_better_than_the_one_in_use() {
    let mut trainer = Trainer::new(1, Config::default());
    observe(&mut trainer, &traces::football(1, 2000));
    let first = trainer.job().unwrap().run().unwrap();
    trainer.handle_trained(&first);
    observe(&mut trainer, &traces::football(2, 2000));
    let outcome = trainer.job().unwrap().run();
    assert!(matches!(outcome, Err(TrainError::NoUse { .. })), "{outcome:?}");
    trainer.handle_untrained();
    // The topic now carries something else.
    let mut random = Random(1);
    (0..4000).for_each(|n| trainer.observe(entity(&mut random, n % 200).as_bytes()));
    let second = trainer.job().unwrap().run().unwrap();
    assert_eq!((first.dictionary.name().version, second.dictionary.name().version), (1, 2));
}

#[test]
fn large_records_are_left_to_compress_alone() {
    let mut trainer = Trainer::new(1, Config::default());
    let large = vec![7; 5000];
    (0..3000).for_each(|_| trainer.observe(&large));
    assert!(!trainer.is_ready());
}

#[test]
fn training_is_the_same_every_time() {
    let train = || {
        let mut trainer = Trainer::new(1, Config::default());
        observe(&mut trainer, &traces::chat(1, 2500));
        trainer.job().unwrap().run().unwrap().dictionary
    };
    let (first, second): (Dictionary, Dictionary) = (train(), train());
    assert_eq!(first.content(), second.content());
    assert!(first.content().len() <= 8 * 1024);
}
