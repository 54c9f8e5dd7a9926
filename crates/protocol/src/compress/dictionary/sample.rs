//! A bounded, fair sample of an endless stream of records.

/// Each record that was observed is in the sample with the same chance (Vitter's algorithm R, ACM TOMS 11(1), 1985).
#[derive(Debug)]
pub(super) struct Sample {
    records: Vec<Box<[u8]>>,
    records_max: usize,
    bytes: usize,
    bytes_max: usize,
    seen: u64,
    random: u64,
}

impl Sample {
    pub(super) const fn new(records_max: usize, bytes_max: usize, seed: u64) -> Self {
        Self { records: Vec::new(), records_max, bytes: 0, bytes_max, seen: 0, random: seed }
    }

    pub(super) fn observe(&mut self, record: &[u8]) {
        self.seen += 1;
        if self.records.len() < self.records_max {
            self.insert(self.records.len(), record);
            return;
        }
        let place = self.below(self.seen);
        if place < self.records_max as u64 {
            self.insert(place as usize, record);
        }
    }

    fn insert(&mut self, place: usize, record: &[u8]) {
        let freed = self.records.get(place).map_or(0, |old| old.len());
        if self.bytes - freed + record.len() > self.bytes_max {
            // Large records fill the sample before its number does: from now on that is the number.
            self.records_max = self.records.len();
            return;
        }
        self.bytes = self.bytes - freed + record.len();
        match self.records.get_mut(place) {
            Some(slot) => *slot = record.into(),
            None => self.records.push(record.into()),
        }
    }

    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The records in random order, so that none of their periods shows in what is held out.
    pub(super) fn into_shuffled(mut self) -> Vec<Box<[u8]>> {
        for last in (1..self.records.len()).rev() {
            let place = self.below(last as u64 + 1) as usize;
            self.records.swap(last, place);
        }
        self.records
    }

    /// A number below `bound`, which is not 0 (splitmix64; the bias of the product is below 2^-32 here).
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((u128::from(z) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_bounds_and_samples_early_and_late_alike() {
        let mut sample = Sample::new(1000, 100_000, 7);
        (0..100_000u32).for_each(|n| sample.observe(&n.to_le_bytes()));
        assert_eq!((sample.len(), sample.bytes()), (1000, 4000));
        let is_late =
            |record: &[u8]| u32::from_le_bytes([record[0], record[1], record[2], record[3]]) >= 50_000;
        let late = sample.into_shuffled().iter().filter(|record| is_late(record)).count();
        assert!((400..600).contains(&late), "{late}");
    }

    #[test]
    fn large_records_are_bounded_by_bytes() {
        let mut sample = Sample::new(1000, 10_000, 7);
        (0..5000usize).for_each(|n| sample.observe(&vec![1; 500 + n % 900]));
        assert!(sample.bytes() <= 10_000 && sample.len() >= 7);
    }
}
